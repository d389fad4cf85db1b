// Creates a self-signed certificate for 127.0.0.1 and host names that is valid for a day (RFC 5280 section 4.1). Node can only create keys.
import { generateKeyPairSync, sign } from 'node:crypto';

const tagged = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
};
const sequence = (...parts: Uint8Array[]) => tagged(0x30, ...parts);
const bits = (content: Uint8Array) => tagged(0x03, Buffer.from([0]), content);
const time = (ms: number) =>
  tagged(0x17, Buffer.from(`${new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14)}Z`));
const dnsName = (name: string) => tagged(0x82, Buffer.from(name));
const oid = (hex: string) => tagged(0x06, Buffer.from(hex, 'hex'));
const extension = (id: string, value: Uint8Array) => sequence(oid(id), tagged(0x04, value));

const [ecdsaWithSha256, commonName, subjectAltName, basicConstraints] = [
  '2a8648ce3d040302',
  '550403',
  '551d11',
  '551d13',
];

export function makeCertificate(...hostNames: string[]): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = sequence(oid(ecdsaWithSha256));
  const name = sequence(tagged(0x31, sequence(oid(commonName), tagged(0x0c, Buffer.from('keyturn tests')))));
  const day = 24 * 3600 * 1000;
  const body = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))),
    tagged(0x02, Buffer.from([1])),
    algorithm,
    name,
    sequence(time(Date.now() - day), time(Date.now() + day)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(
      0xa3,
      sequence(
        extension(subjectAltName, sequence(tagged(0x87, Buffer.from([127, 0, 0, 1])), ...hostNames.map(dnsName))),
        extension(basicConstraints, sequence(tagged(0x01, Buffer.from([255])))),
      ),
    ),
  );
  const der = sequence(body, algorithm, bits(sign('sha256', body, privateKey)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n'),
  };
}
