"""What the PACS server does by itself at a write: stamps, derived dates, the change log and its known gaps."""

from services.ingest.synthetic.shape import CREATE_ROWVERSION
from tests.support.pacs_catalogue import SCHEMA, Table

#: not in the catalogue: the vendor's cache of code tables, and the county's own polygons
EXTRA_TABLES = f"""
CREATE TABLE {SCHEMA}.table_cache_status (
  "szTableName" varchar(128) PRIMARY KEY, "lDummy" integer NOT NULL DEFAULT 0, ts bytea NOT NULL);
CREATE TABLE {SCHEMA}.parcelsandassess (objectid integer PRIMARY KEY, prop_id integer, geo_id varchar(50), shape bytea);
"""

#: A session says how it is logged by `dbo.change_logging`: on, off (a machine or procedure switched it off) or
#: market (a recalculation writes the one column). Replication and disabled triggers pass it by; a value is cut at 255
#: characters; a column counts only where chg_log_columns says so; of a sale's parcels an arbitrary one is named.
CHANGE_LOG = f"""
CREATE FUNCTION {SCHEMA}.getdate() RETURNS timestamp LANGUAGE sql STABLE AS
$$ SELECT (clock_timestamp() AT TIME ZONE 'America/Los_Angeles')::timestamp(3) $$;
CREATE FUNCTION {SCHEMA}.log_changes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  mode text := coalesce(nullif(current_setting('{SCHEMA}.change_logging', true), ''), 'on');
  was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) ELSE '{{}}' END;
  is_now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) ELSE '{{}}' END;
  named jsonb := CASE WHEN TG_OP = 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
BEGIN
  IF mode = 'off' THEN RETURN NULL; END IF;
  IF TG_TABLE_NAME = 'sale' THEN
    named := named || jsonb_build_object('prop_id', (SELECT min(prop_id) FROM {SCHEMA}.chg_of_owner_prop_assoc
      WHERE chg_of_owner_id = (named->>'chg_of_owner_id')::integer));
  END IF;
  WITH changed AS (
    SELECT c."iColumnID", left(was->>c."szColumnName", 255) AS old_value,
           left(is_now->>c."szColumnName", 255) AS new_value
      FROM {SCHEMA}.chg_log_columns a JOIN {SCHEMA}.pacs_columns c ON c."szColumnName" = a.chg_log_columns
     WHERE TG_OP <> 'DELETE' AND a.chg_log_tables = TG_TABLE_NAME AND a.chg_log_audit = 1
       AND was->>c."szColumnName" IS DISTINCT FROM is_now->>c."szColumnName"
       AND (mode = 'on' OR c."szColumnName" = 'market')
    UNION ALL SELECT 0, 'DELETED', NULL WHERE TG_OP = 'DELETE'
  ), logged AS (
    INSERT INTO {SCHEMA}.change_log ("lPacsUserID", "szSQLAccount", "szMachineName", "dtChange", "szChangeType",
      "iTableID", "iColumnID", "szOldValue", "szNewValue", "szRefID")
    SELECT 7, session_user, 'DESK', {SCHEMA}.getdate(), left(TG_OP, 1), t."iTableID", x."iColumnID", x.old_value,
      x.new_value, NULL
      FROM changed x, {SCHEMA}.pacs_tables t WHERE t."szTableName" = TG_TABLE_NAME
    RETURNING "lChangeID"
  )
  INSERT INTO {SCHEMA}.change_log_keys ("lChangeID", "iColumnID", "szKeyValue", "lKeyValue")
  SELECT l."lChangeID", c."iColumnID", left(named->>k.name, 50),
    CASE WHEN named->>k.name ~ '^-?[0-9]{{1,9}}$' THEN (named->>k.name)::integer ELSE 0 END
    FROM logged l, unnest(TG_ARGV || CASE WHEN TG_TABLE_NAME = 'sale' THEN ARRAY['prop_id'] ELSE '{{}}' END) k(name)
    JOIN {SCHEMA}.pacs_columns c ON c."szColumnName" = k.name WHERE named->>k.name IS NOT NULL;
  RETURN NULL;
END $$;
"""

#: dates and texts that triggers of the vendor's keep, and the stamp of a code table that changed
DERIVING = f"""
CREATE FUNCTION {SCHEMA}.stamp_owner_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE {SCHEMA}.property_val SET owner_update_dt = {SCHEMA}.getdate()
   WHERE prop_id = NEW.prop_id AND prop_val_yr = NEW.owner_tax_yr AND sup_num = NEW.sup_num;
  RETURN NULL; END $$;
CREATE TRIGGER stamp_owner_insert AFTER INSERT ON {SCHEMA}.owner FOR EACH ROW
  EXECUTE FUNCTION {SCHEMA}.stamp_owner_update();
CREATE TRIGGER stamp_owner_update AFTER UPDATE OF owner_id ON {SCHEMA}.owner FOR EACH ROW
  WHEN (OLD.owner_id <> NEW.owner_id) EXECUTE FUNCTION {SCHEMA}.stamp_owner_update();
CREATE FUNCTION {SCHEMA}.stamp_account() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.update_dt := {SCHEMA}.getdate(); RETURN NEW; END $$;
CREATE TRIGGER stamp_account BEFORE UPDATE ON {SCHEMA}.account FOR EACH ROW
  WHEN ((OLD.file_as_name, OLD.confidential_flag) IS DISTINCT FROM (NEW.file_as_name, NEW.confidential_flag))
  EXECUTE FUNCTION {SCHEMA}.stamp_account();
CREATE FUNCTION {SCHEMA}.simplify_geo_id() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.simple_geo_id := translate(NEW.geo_id, ' -', ''); RETURN NEW; END $$;
CREATE TRIGGER simplify_geo_id BEFORE INSERT OR UPDATE OF geo_id ON {SCHEMA}.property FOR EACH ROW
  EXECUTE FUNCTION {SCHEMA}.simplify_geo_id();
CREATE FUNCTION {SCHEMA}.stamp_permit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.bldg_permit_last_chg := {SCHEMA}.getdate(); RETURN NEW; END $$;
CREATE TRIGGER stamp_permit BEFORE INSERT OR UPDATE ON {SCHEMA}.building_permit FOR EACH ROW
  EXECUTE FUNCTION {SCHEMA}.stamp_permit();
CREATE FUNCTION {SCHEMA}.stamp_cache() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO {SCHEMA}.table_cache_status ("szTableName", ts)
  VALUES (TG_TABLE_NAME, int8send(nextval('{SCHEMA}.rowversion_counter')))
  ON CONFLICT ("szTableName") DO UPDATE SET "lDummy" = table_cache_status."lDummy" + 1, ts = excluded.ts;
  RETURN NULL; END $$;
"""

FUNCTIONS = CREATE_ROWVERSION + CHANGE_LOG

#: columns of which no change is logged, as an administrator may have chosen; a mapping may well read them
UNAUDITED = {("property", "zoning"), ("property", "remarks"), ("situs", "situs_zip"), ("imprv_detail", "sketch_cmds")}

CODE_TABLES = (
    "sale_ratio_type", "county_ratio_code", "sale_type", "deed_type", "abs_subdv", "neighborhood", "property_use",
    "property_type", "property_sub_type", "tax_area", "exmpt_type", "imprv_type", "imprv_det_type", "attribute",
    "attribute_val", "land_type",
)  # fmt: skip


def create_stamp(table: Table) -> str:
    """The stamp of every write, which nobody can switch off; nothing where the table has none."""
    if not table.has_rowversion:
        return ""
    place = f"{SCHEMA}.{table.name}"
    return (
        f"CREATE TRIGGER stamp_rowversion BEFORE INSERT OR UPDATE ON {place}"
        f" FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.stamp_rowversion();"
        f"ALTER TABLE {place} ENABLE ALWAYS TRIGGER stamp_rowversion;"
    )


def create_triggers(table: Table) -> str:
    """The table's other triggers, which a replica's writes pass by."""
    place, statements = f"{SCHEMA}.{table.name}", ""
    if table.logs_changes:
        heard = " OR ".join(operation.upper() for operation in table.logs_changes)
        key = ", ".join(f"'{name}'" for name in table.key)
        statements += (
            f"CREATE TRIGGER log_changes AFTER {heard} ON {place}"
            f" FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.log_changes({key});"
        )
    if table.name in CODE_TABLES:
        statements += (
            f"CREATE TRIGGER stamp_cache AFTER INSERT OR UPDATE OR DELETE ON {place}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.stamp_cache();"
        )
    return statements
