# The service, its production dependencies and its migrations. `npm run test:image` builds and runs this image without a
# container engine. It supports only the instructions that this file uses.

FROM node:24-bookworm-slim AS manifest
WORKDIR /app
COPY package.json package-lock.json ./

# --workspaces=false: the workspace is only for tests and is not in the build context.
FROM manifest AS build
RUN npm ci --ignore-scripts --workspaces=false
COPY prisma.config.ts tsconfig.json tsconfig.build.json ./
COPY prisma prisma
COPY src src
RUN npm run build && rm dist/.tsbuildinfo
COPY bin bin
COPY data data
# A checkout with a strict umask would make the files unreadable for the image's user.
RUN chmod -R a+rX bin data dist prisma package.json

# --omit=dev alone keeps the prisma CLI (an optional peer of @prisma/client, 250 MB). --omit=optional also drops the
# native hashers, which are copied back. The rest removes unused files: types, source maps, tests of packages, query
# compilers of other databases, and other builds of Swagger UI.
FROM manifest AS prod
RUN npm ci --omit=dev --omit=optional --ignore-scripts --workspaces=false
COPY --from=build /app/node_modules/@node-rs node_modules/@node-rs
RUN find node_modules -type f \( -name '*.map' -o -name '*.[cm]ts' -o -name '*.ts' -o -name '*.test.js' \) -delete \
 && find node_modules/@prisma/client/runtime -name 'query_compiler_*' \
      ! -name 'query_compiler_small_bg.postgresql.*mjs' -delete \
 && rm -rf node_modules/*/test node_modules/@*/*/test \
 && rm -f node_modules/swagger-ui-dist/swagger-ui.js node_modules/swagger-ui-dist/*-es-bundle*

FROM node:24-bookworm-slim
LABEL org.opencontainers.image.title="keyturn" \
      org.opencontainers.image.description="A JWT authentication service with refresh-token rotation" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production
WORKDIR /app
# Ordered from least to most frequently changed. Root owns every file, and the service cannot write to any of them.
COPY --from=prod /app/node_modules node_modules
COPY --from=build /app/data data
COPY --from=build /app/prisma/migrations prisma/migrations
COPY --from=build /app/package.json ./
COPY --from=build /app/bin bin
COPY --from=build /app/dist dist
# The user `node`, as a number, because Kubernetes' runAsNonRoot does not accept names.
USER 1000:1000
EXPOSE 3000
STOPSIGNAL SIGTERM
# The slim image has no curl. HOST stays 0.0.0.0 in a container.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/healthz').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Runs Node directly, so that it receives the signal. Same command as `npm start`.
CMD ["node", "--max-old-space-size=1024", "--enable-source-maps", "bin/keyturn.cjs", "main"]
