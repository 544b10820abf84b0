# Kafka and PostgreSQL for tests where no image registry is reached: the same jars as the local stack, and Debian's
# PostgreSQL. They take the settings of the upstream images that tests use, no more. Not for production.
ARG BASE
ARG POSTGRES

# Settings: /mnt/shared/config/server.properties, CLUSTER_ID.
FROM ${BASE} AS kafka
COPY --from=java . /opt/java
COPY --from=jars . /opt/kafka/libs
COPY deploy/local/kafka-log4j2.properties /opt/kafka/log4j2.properties
COPY deploy/images/start-kafka /usr/local/bin/
ENV CLUSTER_ID=5L6g3nShT-eMCtK--X86sw
RUN install -d -o 10001 -g 10001 /var/lib/kafka/data /mnt/shared/config
USER 10001:10001
EXPOSE 9092
ENTRYPOINT ["start-kafka"]

# Settings: POSTGRES_PASSWORD, POSTGRES_HOST_AUTH_METHOD, POSTGRES_DB, PGDATA, and options of `postgres` as arguments.
FROM ${POSTGRES} AS postgres
COPY deploy/images/start-postgres /usr/local/bin/
RUN echo 'tocsin:x:10001:10001::/tmp:/usr/sbin/nologin' >>/etc/passwd && \
    install -d -o 10001 -g 10001 /var/lib/postgresql/data
ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin \
    PGDATA=/var/lib/postgresql/data/pgdata POSTGRES_HOST_AUTH_METHOD=scram-sha-256
USER 10001:10001
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["start-postgres"]
CMD ["postgres"]
