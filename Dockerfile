# Builds one image for every process: `admin`, `gateway`, or `start` with a DATABASE_URL.
# Holds no secret and no embedded database.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Scripts of packages are not needed, and ours cannot build before the sources are here.
RUN npm ci --ignore-scripts
COPY . .
# The embedded Postgres comes as optional packages of some 60 MB; a container has a database beside it.
RUN npm run build && npm prune --ignore-scripts --omit=dev --omit=optional

FROM node:24-slim
ENV NODE_ENV=production \
    SALLYPORT_PROXY_LISTEN=0.0.0.0:8000 \
    SALLYPORT_ADMIN_LISTEN=0.0.0.0:8001 \
    SALLYPORT_STATUS_LISTEN=0.0.0.0:8002 \
    SALLYPORT_DATA_DIR=/var/lib/sallyport
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# The code stays root's: the process may write to its data directory and nowhere else.
RUN install --directory --owner=node --group=node --mode=0700 /var/lib/sallyport
USER node
VOLUME /var/lib/sallyport
EXPOSE 8000 8001 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8002/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/cli/main.js"]
CMD ["start"]
