# Makes the database cluster if there is none, gives each role the password in its Secret, and starts the server.
set -eu
PATH="$PATH:$(echo /usr/lib/postgresql/*/bin)"
passwords=/etc/tocsin/passwords
data=/var/lib/tocsin/postgres

alone() { # SQL on standard input, a statement a line, while no server runs
  postgres --single -j -D "$1" -c exit_on_error=on "$2" >/dev/null
}

if [ ! -s "$data/PG_VERSION" ]; then
  rm -rf "$data.new"
  initdb --pgdata "$data.new" --username postgres --pwfile "$passwords/postgres" \
    --auth-local reject --auth-host scram-sha-256 --encoding UTF8 --locale C.UTF-8
  echo "host all all all scram-sha-256" >>"$data.new/pg_hba.conf"
  {
    for file in "$passwords"/tocsin_*; do printf 'CREATE ROLE %s LOGIN;\n\n' "${file##*/}"; done
    printf 'CREATE DATABASE tocsin;\n\n'
  } | alone "$data.new" postgres
  mv "$data.new" "$data" # a start that is interrupted before this begins anew
fi

for file in "$passwords"/*; do
  printf "ALTER ROLE %s PASSWORD '%s';\n\n" "${file##*/}" "$(sed "s/'/''/g" "$file")"
done | alone "$data" postgres

exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp -c shared_buffers=128MB \
  -c max_connections=200
