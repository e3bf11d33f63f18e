#!/bin/sh
# A login for every service that may become that service's role and no other. Run once, after roles.sql, when the
# database is made; the passwords are <SERVICE>_DB_PASSWORD in the environment.
set -eu

for service in gateway ingest valuation market reporting gisexport relay; do
  variable="$(printf '%s' "$service" | tr '[:lower:]' '[:upper:]')_DB_PASSWORD"
  printenv "$variable" >/dev/null || { echo "logins.sh: $variable is not set" >&2; exit 1; }
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set "service=$service" --set "variable=$variable" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
SELECT :'service' || '_login' AS login, 'terrafusion_' || :'service' AS role \gset
\getenv password :variable
CREATE ROLE :"login" LOGIN PASSWORD :'password' IN ROLE :"role";
SQL
done
