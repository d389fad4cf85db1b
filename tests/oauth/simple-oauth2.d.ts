// The package has no types.
declare module 'simple-oauth2' {
  interface Options {
    client: { id: string; secret: string };
    auth: { tokenHost: string; tokenPath: string; revokePath: string };
    options?: { authorizationMethod?: 'header' | 'body' };
  }

  interface AccessToken {
    token: { access_token: string; refresh_token?: string; scope: string; [member: string]: unknown };
    expired(): boolean;
    refresh(params?: { scope?: string }): Promise<AccessToken>;
    revoke(type: 'access_token' | 'refresh_token'): Promise<void>;
  }

  export class ResourceOwnerPassword {
    constructor(options: Options);
    getToken(params: { username: string; password: string; scope?: string }): Promise<AccessToken>;
  }

  export class ClientCredentials {
    constructor(options: Options);
    getToken(params: { scope?: string }): Promise<AccessToken>;
  }
}
