# Formats the volume if it is new, and starts the broker. It calls the classes themselves, and so needs of an image only
# a Java runtime and the jars below /opt/kafka/libs.
set -eu
PATH="$PATH:/opt/java/bin:/opt/java/openjdk/bin"
CLASSPATH=$(find /opt/kafka/libs -name '*.jar' | tr '\n' ':')
export CLASSPATH
settings=/etc/tocsin/start/server.properties
lean="-XX:+UseSerialGC -XX:TieredStopAtLevel=1"

mkdir -p /var/lib/tocsin/kafka
java $lean -Xmx256m kafka.tools.StorageTool format --ignore-formatted \
  --cluster-id tocsin-tocsin-tocsin-g --config "$settings"

exec java $lean -Xms256m -Xmx512m -Dlog4j2.configurationFile=/etc/tocsin/start/log4j2.properties \
  kafka.Kafka "$settings"
