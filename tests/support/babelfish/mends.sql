-- What Babelfish 4.3 answers otherwise than SQL Server's documentation says, mended in its database (README.md).
CREATE OR REPLACE FUNCTION sys.digits_of_bytes(value pg_catalog.bytea, style numeric) RETURNS pg_catalog.text
 LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE style WHEN 1 THEN '0x' || pg_catalog.upper(pg_catalog.encode(value, 'hex'))
                      WHEN 2 THEN pg_catalog.upper(pg_catalog.encode(value, 'hex'))
                      ELSE pg_catalog.convert_from(value, 'WIN1252') END;
CREATE OR REPLACE FUNCTION sys.babelfish_conv_helper_to_varchar(typename text, arg sys.bbf_varbinary, try boolean, p_style numeric DEFAULT 0)
 RETURNS sys."varchar" LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sys.digits_of_bytes(arg::pg_catalog.bytea, p_style)::sys."varchar";
CREATE OR REPLACE FUNCTION sys.babelfish_conv_helper_to_varchar(typename text, arg sys.bbf_binary, try boolean, p_style numeric DEFAULT 0)
 RETURNS sys."varchar" LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sys.digits_of_bytes(arg::sys.bbf_varbinary::pg_catalog.bytea, p_style)::sys."varchar";
CREATE OR REPLACE FUNCTION sys.babelfish_conv_helper_to_varchar(typename text, arg sys.rowversion, try boolean, p_style numeric DEFAULT 0)
 RETURNS sys."varchar" LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN sys.digits_of_bytes(arg::sys.bbf_varbinary::pg_catalog.bytea, p_style)::sys."varchar";
CREATE OR REPLACE FUNCTION sys.babelfish_conv_helper_to_varbinary(arg pg_catalog.text, try boolean, p_style numeric DEFAULT 0)
 RETURNS sys.bbf_varbinary LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_style IN (1, 2)
                THEN pg_catalog.decode(pg_catalog.replace(pg_catalog.replace(arg COLLATE "C", '0x', ''), '0X', ''), 'hex')::sys.bbf_varbinary
                ELSE pg_catalog.convert_to(arg, 'WIN1252')::sys.bbf_varbinary END;
CREATE OR REPLACE FUNCTION sys.babelfish_conv_helper_to_varbinary(arg anyelement, try boolean, p_style numeric DEFAULT 0)
 RETURNS sys.bbf_varbinary LANGUAGE plpgsql IMMUTABLE AS $f$
BEGIN
  IF pg_catalog.pg_typeof(arg)::pg_catalog.text COLLATE "C" LIKE '%char%' THEN
    RETURN sys.babelfish_conv_helper_to_varbinary(arg::pg_catalog.text, try, p_style);
  END IF;
  RETURN CAST(arg AS sys.bbf_varbinary);
END $f$;
CREATE OR REPLACE FUNCTION sys.babelfish_conv_helper_to_datetime(arg text, try boolean, p_style numeric DEFAULT 0)
 RETURNS sys.datetime LANGUAGE plpgsql STABLE AS $f$
BEGIN
  IF p_style IN (126, 127) THEN
    RETURN CAST(arg::sys."varchar" AS sys.datetime);
  ELSIF try THEN
    RETURN sys.babelfish_try_conv_string_to_datetime('DATETIME', arg, p_style);
  END IF;
  RETURN sys.babelfish_conv_string_to_datetime('DATETIME', arg, p_style);
END $f$;
CREATE OR REPLACE FUNCTION sys.min_active_rowversion() RETURNS sys.rowversion LANGUAGE sql VOLATILE
RETURN pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::sys.rowversion;
