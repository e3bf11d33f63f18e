-- A role per service; a service writes its own schema and reads others through published views.
-- Run by the first migration (as a user that may create roles) or beforehand by the county's database administrator.
-- In production give each service a login of its own:  CREATE ROLE market_login LOGIN IN ROLE terrafusion_market;
DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['terrafusion_reader', 'terrafusion_gateway', 'terrafusion_ingest',
    'terrafusion_valuation', 'terrafusion_market', 'terrafusion_reporting', 'terrafusion_gisexport',
    'terrafusion_relay']
  LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;  -- another database of the same server was migrated at this moment
      END;
    END IF;
    IF NOT pg_has_role(current_user, role_name, 'MEMBER') THEN
      EXECUTE format('GRANT %I TO %I', role_name, current_user);
    END IF;
    IF role_name <> 'terrafusion_reader' AND NOT pg_has_role(role_name, 'terrafusion_reader', 'MEMBER') THEN
      EXECUTE format('GRANT terrafusion_reader TO %I', role_name);
    END IF;
  END LOOP;
END
$$;
