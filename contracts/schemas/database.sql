-- PostgreSQL database dump

-- Name: chassis; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA chassis;

-- Name: gateway; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA gateway;

-- Name: gisexport; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA gisexport;

-- Name: ingest; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA ingest;

-- Name: market; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA market;

-- Name: reporting; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA reporting;

-- Name: valuation; Type: SCHEMA; Schema: -; Owner: -

CREATE SCHEMA valuation;

-- Name: analyze_landed(); Type: FUNCTION; Schema: ingest; Owner: -

CREATE FUNCTION ingest.analyze_landed() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
BEGIN
  ANALYZE ingest.source_row;
  ANALYZE ingest.staged_row;
END $$;

-- Name: inbox; Type: TABLE; Schema: chassis; Owner: -

CREATE TABLE chassis.inbox (
    county text NOT NULL,
    consumer text NOT NULL,
    event_id text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY chassis.inbox FORCE ROW LEVEL SECURITY;

-- Name: job; Type: TABLE; Schema: chassis; Owner: -

CREATE TABLE chassis.job (
    county text NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    status text DEFAULT 'queued'::text NOT NULL,
    priority text DEFAULT 'normal'::text NOT NULL,
    parameters jsonb NOT NULL,
    request_digest text NOT NULL,
    idempotency_key text,
    requested_by text NOT NULL,
    deadline timestamp with time zone,
    attempt integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    owner text,
    heartbeat_at timestamp with time zone,
    not_before timestamp with time zone,
    progress jsonb DEFAULT '{}'::jsonb NOT NULL,
    error jsonb,
    result jsonb,
    artifacts jsonb DEFAULT '[]'::jsonb NOT NULL,
    traceparent text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    published_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    restarted_at timestamp with time zone
);

ALTER TABLE ONLY chassis.job FORCE ROW LEVEL SECURITY;

-- Name: COLUMN job.request_digest; Type: COMMENT; Schema: chassis; Owner: -

COMMENT ON COLUMN chassis.job.request_digest IS 'sha256 of the canonical request body';

-- Name: COLUMN job.failures; Type: COMMENT; Schema: chassis; Owner: -

COMMENT ON COLUMN chassis.job.failures IS 'starts that failed since it was asked for';

-- Name: COLUMN job.owner; Type: COMMENT; Schema: chassis; Owner: -

COMMENT ON COLUMN chassis.job.owner IS 'the worker process that runs it';

-- Name: COLUMN job.not_before; Type: COMMENT; Schema: chassis; Owner: -

COMMENT ON COLUMN chassis.job.not_before IS 'a retry waits until then';

-- Name: outbox; Type: TABLE; Schema: chassis; Owner: -

CREATE TABLE chassis.outbox (
    id uuid NOT NULL,
    "position" bigint NOT NULL,
    county text NOT NULL,
    subject text NOT NULL,
    headers jsonb NOT NULL,
    body text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY chassis.outbox FORCE ROW LEVEL SECURITY;

-- Name: outbox_position_seq; Type: SEQUENCE; Schema: chassis; Owner: -

ALTER TABLE chassis.outbox ALTER COLUMN "position" ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME chassis.outbox_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: schedule; Type: TABLE; Schema: chassis; Owner: -

CREATE TABLE chassis.schedule (
    county text NOT NULL,
    name text NOT NULL,
    id uuid NOT NULL,
    origin text NOT NULL,
    kind text NOT NULL,
    parameters jsonb NOT NULL,
    priority text DEFAULT 'normal'::text NOT NULL,
    cron text,
    every_seconds integer,
    time_zone text NOT NULL,
    catch_up text DEFAULT 'once'::text NOT NULL,
    is_paused boolean DEFAULT false NOT NULL,
    paused_by text,
    next_due_at timestamp with time zone,
    last_due_at timestamp with time zone,
    last_job_id uuid,
    skips bigint DEFAULT 0 NOT NULL,
    last_skipped_at timestamp with time zone,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY chassis.schedule FORCE ROW LEVEL SECURITY;

-- Name: COLUMN schedule.id; Type: COMMENT; Schema: chassis; Owner: -

COMMENT ON COLUMN chassis.schedule.id IS 'of the county and the name: the id of a job follows from it and the time that it was due';

-- Name: COLUMN schedule.origin; Type: COMMENT; Schema: chassis; Owner: -

COMMENT ON COLUMN chassis.schedule.origin IS 'county_file, mappings or api; what a file says is changed in the file';

-- Name: COLUMN schedule.next_due_at; Type: COMMENT; Schema: chassis; Owner: -

COMMENT ON COLUMN chassis.schedule.next_due_at IS 'null: never again';

-- Name: COLUMN schedule.last_due_at; Type: COMMENT; Schema: chassis; Owner: -

COMMENT ON COLUMN chassis.schedule.last_due_at IS 'the time that the last job of it was due';

-- Name: COLUMN schedule.skips; Type: COMMENT; Schema: chassis; Owner: -

COMMENT ON COLUMN chassis.schedule.skips IS 'times without a job, for the one before had not ended or the time had passed';

-- Name: refresh_token; Type: TABLE; Schema: gateway; Owner: -

CREATE TABLE gateway.refresh_token (
    digest text NOT NULL,
    session uuid NOT NULL,
    username text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    revoked_at timestamp with time zone
);

-- Name: COLUMN refresh_token.digest; Type: COMMENT; Schema: gateway; Owner: -

COMMENT ON COLUMN gateway.refresh_token.digest IS 'sha256; the token itself is nowhere';

-- Name: COLUMN refresh_token.session; Type: COMMENT; Schema: gateway; Owner: -

COMMENT ON COLUMN gateway.refresh_token.session IS 'one login and all its renewals';

-- Name: COLUMN refresh_token.used_at; Type: COMMENT; Schema: gateway; Owner: -

COMMENT ON COLUMN gateway.refresh_token.used_at IS 'renewed: coming again means that it was stolen';

-- Name: user; Type: TABLE; Schema: gateway; Owner: -

CREATE TABLE gateway."user" (
    username text NOT NULL,
    password_hash text NOT NULL,
    disabled boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    password_changed_at timestamp with time zone DEFAULT now() NOT NULL
);

-- Name: user_grant; Type: TABLE; Schema: gateway; Owner: -

CREATE TABLE gateway.user_grant (
    county text NOT NULL,
    username text NOT NULL,
    roles text[] DEFAULT '{}'::text[] NOT NULL,
    permissions text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY gateway.user_grant FORCE ROW LEVEL SECURITY;

-- Name: COLUMN user_grant.county; Type: COMMENT; Schema: gateway; Owner: -

COMMENT ON COLUMN gateway.user_grant.county IS '* stands for every county';

-- Name: export_run; Type: TABLE; Schema: gisexport; Owner: -

CREATE TABLE gisexport.export_run (
    county text NOT NULL,
    job_id uuid NOT NULL,
    parameters jsonb NOT NULL,
    receipt jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY gisexport.export_run FORCE ROW LEVEL SECURITY;

-- Name: COLUMN export_run.receipt; Type: COMMENT; Schema: gisexport; Owner: -

COMMENT ON COLUMN gisexport.export_run.receipt IS 'GisExportReceipt of contracts/api/gis_export.py';

-- Name: approval; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.approval (
    county text NOT NULL,
    id uuid NOT NULL,
    pair text NOT NULL,
    operation_id uuid NOT NULL,
    reason text NOT NULL,
    details jsonb NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    decided_by text,
    decided_at timestamp with time zone
);

ALTER TABLE ONLY ingest.approval FORCE ROW LEVEL SECURITY;

-- Name: approval_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.approval_v1 AS
 SELECT county,
    id,
    pair,
    operation_id,
    reason,
    details,
    status,
    asked_at,
    decided_by,
    decided_at
   FROM ingest.approval;

-- Name: certificate; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.certificate (
    county text NOT NULL,
    id uuid NOT NULL,
    pair text NOT NULL,
    operation_id uuid NOT NULL,
    sequence bigint NOT NULL,
    holds boolean NOT NULL,
    document jsonb NOT NULL,
    signature text NOT NULL,
    issued_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY ingest.certificate FORCE ROW LEVEL SECURITY;

-- Name: certificate_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.certificate_v1 AS
 SELECT county,
    id,
    pair,
    operation_id,
    sequence,
    holds,
    document,
    signature,
    issued_at
   FROM ingest.certificate;

-- Name: conflict; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.conflict (
    county text NOT NULL,
    id uuid NOT NULL,
    entity text NOT NULL,
    entity_id text NOT NULL,
    field text NOT NULL,
    candidates jsonb NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    choice text,
    decided_by text,
    decided_at timestamp with time zone,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    operation_id uuid NOT NULL
);

ALTER TABLE ONLY ingest.conflict FORCE ROW LEVEL SECURITY;

-- Name: conflict_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.conflict_v1 AS
 SELECT county,
    id,
    entity,
    entity_id,
    field,
    candidates,
    status,
    choice,
    decided_by,
    decided_at,
    seen_at,
    operation_id
   FROM ingest.conflict;

-- Name: contribution; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.contribution (
    county text NOT NULL,
    pair text NOT NULL,
    entity text NOT NULL,
    match_key text NOT NULL,
    fields jsonb NOT NULL,
    digest text NOT NULL,
    origin text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    parcel_key text NOT NULL,
    matches text NOT NULL
);

ALTER TABLE ONLY ingest.contribution FORCE ROW LEVEL SECURITY;

-- Name: COLUMN contribution.parcel_key; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.contribution.parcel_key IS 'the pair''s own id of the parcel';

-- Name: COLUMN contribution.matches; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.contribution.matches IS 'what its parcel or owner is known by in the record';

-- Name: neighborhood; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.neighborhood (
    county text NOT NULL,
    neighborhood text NOT NULL,
    tax_year integer NOT NULL,
    pair text NOT NULL,
    name text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY ingest.neighborhood FORCE ROW LEVEL SECURITY;

-- Name: neighborhood_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.neighborhood_v1 AS
 SELECT county,
    neighborhood,
    tax_year,
    name
   FROM ingest.neighborhood;

-- Name: owner; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.owner (
    county text NOT NULL,
    parcel_id text NOT NULL,
    tax_year integer NOT NULL,
    owner_id text NOT NULL,
    pair text NOT NULL,
    name text,
    mailing_address text,
    ownership_percent double precision,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY ingest.owner FORCE ROW LEVEL SECURITY;

-- Name: owner_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.owner_v1 AS
 SELECT county,
    parcel_id,
    tax_year,
    owner_id,
    name,
    mailing_address,
    ownership_percent
   FROM ingest.owner;

-- Name: parcel; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.parcel (
    county text NOT NULL,
    parcel_id text NOT NULL,
    tax_year integer NOT NULL,
    supplement integer NOT NULL,
    pair text NOT NULL,
    is_current boolean NOT NULL,
    is_active boolean NOT NULL,
    parcel_number text,
    property_type text,
    use_code text,
    neighborhood text,
    zoning text,
    situs_address text,
    situs_city text,
    situs_zip text,
    legal_description text,
    land_value_usd numeric(14,2),
    improvement_value_usd numeric(14,2),
    total_value_usd numeric(14,2),
    market_value_usd numeric(14,2),
    taxable_value_usd numeric(14,2),
    prior_total_value_usd numeric(14,2),
    cost_approach_value_usd numeric(14,2),
    income_approach_value_usd numeric(14,2),
    market_approach_value_usd numeric(14,2),
    last_sale_date date,
    last_sale_price_usd numeric(14,2),
    year_built integer,
    effective_year_built integer,
    living_area_sqft double precision,
    land_area_sqft double precision,
    bedrooms double precision,
    bathrooms double precision,
    stories double precision,
    building_class text,
    condition text,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    longitude double precision,
    latitude double precision,
    geometry_wkb bytea,
    srid integer,
    west double precision,
    south double precision,
    east double precision,
    north double precision,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    is_official boolean DEFAULT false NOT NULL
);

ALTER TABLE ONLY ingest.parcel FORCE ROW LEVEL SECURITY;

-- Name: COLUMN parcel.is_current; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.parcel.is_current IS 'the working layer of the parcel';

-- Name: COLUMN parcel.is_official; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.parcel.is_official IS 'the official layer of the parcel in that year';

-- Name: parcel_official_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.parcel_official_v1 AS
 SELECT county,
    parcel_id,
    parcel_number,
    tax_year,
    supplement,
    is_current,
    is_active,
    property_type,
    use_code,
    neighborhood,
    zoning,
    situs_address,
    situs_city,
    situs_zip,
    legal_description,
    land_value_usd,
    improvement_value_usd,
    total_value_usd,
    market_value_usd,
    taxable_value_usd,
    prior_total_value_usd,
    cost_approach_value_usd,
    income_approach_value_usd,
    market_approach_value_usd,
    last_sale_date,
    last_sale_price_usd,
    year_built,
    effective_year_built,
    living_area_sqft,
    land_area_sqft,
    bedrooms,
    bathrooms,
    stories,
    building_class,
    condition,
    attributes,
    longitude,
    latitude,
    geometry_wkb,
    srid,
    west,
    south,
    east,
    north,
    updated_at
   FROM ingest.parcel
  WHERE is_official;

-- Name: parcel_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.parcel_v1 AS
 SELECT county,
    parcel_id,
    parcel_number,
    tax_year,
    supplement,
    is_active,
    property_type,
    use_code,
    neighborhood,
    zoning,
    situs_address,
    situs_city,
    situs_zip,
    legal_description,
    land_value_usd,
    improvement_value_usd,
    total_value_usd,
    market_value_usd,
    taxable_value_usd,
    prior_total_value_usd,
    cost_approach_value_usd,
    income_approach_value_usd,
    market_approach_value_usd,
    last_sale_date,
    last_sale_price_usd,
    year_built,
    effective_year_built,
    living_area_sqft,
    land_area_sqft,
    bedrooms,
    bathrooms,
    stories,
    building_class,
    condition,
    attributes,
    longitude,
    latitude,
    geometry_wkb,
    srid,
    west,
    south,
    east,
    north,
    updated_at
   FROM ingest.parcel
  WHERE is_current;

-- Name: quarantine; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.quarantine (
    county text NOT NULL,
    pair text NOT NULL,
    source_table text NOT NULL,
    key text NOT NULL,
    rule text NOT NULL,
    field text NOT NULL,
    value text,
    operation_id uuid NOT NULL,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    source_key jsonb
);

ALTER TABLE ONLY ingest.quarantine FORCE ROW LEVEL SECURITY;

-- Name: COLUMN quarantine.value; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.quarantine.value IS 'the offending value, masked where it is personal';

-- Name: COLUMN quarantine.operation_id; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.quarantine.operation_id IS 'the operation that saw it last';

-- Name: COLUMN quarantine.source_key; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.quarantine.source_key IS 'as the source gave it, to ask for the row again; null: not known';

-- Name: quarantine_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.quarantine_v1 AS
 SELECT county,
    pair,
    source_table,
    key,
    rule,
    field,
    value,
    operation_id,
    first_seen_at,
    last_seen_at
   FROM ingest.quarantine;

-- Name: row_before; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.row_before (
    county text NOT NULL,
    pair text NOT NULL,
    sequence bigint NOT NULL,
    source_table text NOT NULL,
    op text NOT NULL,
    key text NOT NULL,
    digest text,
    image text,
    personal text,
    parcel_id text,
    sale_id text,
    owner_id text,
    lot_id text,
    created_sequence bigint NOT NULL,
    changed_sequence bigint NOT NULL,
    is_filtered boolean NOT NULL,
    range_number integer
);

ALTER TABLE ONLY ingest.row_before FORCE ROW LEVEL SECURITY;

-- Name: sale; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.sale (
    county text NOT NULL,
    sale_id text NOT NULL,
    parcel_id text NOT NULL,
    pair text NOT NULL,
    sale_date date,
    sale_price_usd numeric(14,2),
    adjusted_price_usd numeric(14,2),
    deed_type text,
    validity_code text,
    is_qualified boolean NOT NULL,
    parcel_count integer NOT NULL,
    recorded_date date,
    living_area_sqft double precision,
    land_area_sqft double precision,
    year_built integer,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY ingest.sale FORCE ROW LEVEL SECURITY;

-- Name: sale_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.sale_v1 AS
 SELECT county,
    sale_id,
    parcel_id,
    sale_date,
    sale_price_usd,
    adjusted_price_usd,
    deed_type,
    validity_code,
    is_qualified,
    parcel_count,
    recorded_date,
    living_area_sqft,
    land_area_sqft,
    year_built,
    updated_at
   FROM ingest.sale;

-- Name: schema_change; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.schema_change (
    county text NOT NULL,
    pair text NOT NULL,
    id uuid NOT NULL,
    source_table text NOT NULL,
    kind text NOT NULL,
    columns jsonb NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    operation_id uuid NOT NULL
);

ALTER TABLE ONLY ingest.schema_change FORCE ROW LEVEL SECURITY;

-- Name: schema_change_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.schema_change_v1 AS
 SELECT county,
    pair,
    id,
    source_table,
    kind,
    columns,
    seen_at,
    operation_id
   FROM ingest.schema_change;

-- Name: source_row; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.source_row (
    county text NOT NULL,
    pair text NOT NULL,
    source_table text NOT NULL,
    key text NOT NULL,
    digest text NOT NULL,
    image text NOT NULL,
    personal text,
    parcel_id text,
    sale_id text,
    owner_id text,
    lot_id text,
    range_number integer,
    created_sequence bigint DEFAULT 0 NOT NULL,
    sequence bigint DEFAULT 0 NOT NULL,
    is_filtered boolean DEFAULT false NOT NULL
);

ALTER TABLE ONLY ingest.source_row FORCE ROW LEVEL SECURITY;

-- Name: COLUMN source_row.digest; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.source_row.digest IS 'of the normalised row, with what is masked in the image';

-- Name: COLUMN source_row.image; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.source_row.image IS 'the row as read; names and addresses of people are masked';

-- Name: COLUMN source_row.personal; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.source_row.personal IS 'names and addresses as read; for the record of owners alone';

-- Name: COLUMN source_row.range_number; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.source_row.range_number IS 'the range of keys it was read in; null: not placed yet';

-- Name: COLUMN source_row.created_sequence; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.source_row.created_sequence IS 'the run that brought it; the pair is not there yet: pending';

-- Name: COLUMN source_row.sequence; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.source_row.sequence IS 'the run of the pair that changed it last';

-- Name: COLUMN source_row.is_filtered; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.source_row.is_filtered IS 'left out by the mapping, and landed to know the scope';

-- Name: staged_progress; Type: TABLE; Schema: ingest; Owner: -

CREATE UNLOGGED TABLE ingest.staged_progress (
    county text NOT NULL,
    pair text NOT NULL,
    run_id uuid NOT NULL,
    source_table text NOT NULL,
    batch integer NOT NULL,
    "position" jsonb NOT NULL,
    token text,
    ranges jsonb DEFAULT '[]'::jsonb NOT NULL,
    rows_read bigint NOT NULL,
    rows_quarantined bigint NOT NULL,
    rows_filtered bigint NOT NULL,
    rows_compared bigint NOT NULL,
    rows_created bigint DEFAULT 0 NOT NULL,
    is_done boolean DEFAULT false NOT NULL,
    staged_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY ingest.staged_progress FORCE ROW LEVEL SECURITY;

-- Name: staged_row; Type: TABLE; Schema: ingest; Owner: -

CREATE UNLOGGED TABLE ingest.staged_row (
    county text NOT NULL,
    pair text NOT NULL,
    run_id uuid NOT NULL,
    source_table text NOT NULL,
    batch integer NOT NULL,
    place integer NOT NULL,
    op text NOT NULL,
    key text NOT NULL,
    digest text,
    image text,
    personal text,
    parcel_id text,
    sale_id text,
    owner_id text,
    lot_id text,
    range_number integer,
    is_filtered boolean DEFAULT false NOT NULL,
    log jsonb
);

ALTER TABLE ONLY ingest.staged_row FORCE ROW LEVEL SECURITY;

-- Name: COLUMN staged_row.op; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.staged_row.op IS 'c, u, d: to be told; m: only its range changed; x: it left the years that are read';

-- Name: staged_violation; Type: TABLE; Schema: ingest; Owner: -

CREATE UNLOGGED TABLE ingest.staged_violation (
    county text NOT NULL,
    pair text NOT NULL,
    run_id uuid NOT NULL,
    source_table text NOT NULL,
    batch integer NOT NULL,
    key text NOT NULL,
    rule text,
    field text,
    value text,
    source_key jsonb
);

ALTER TABLE ONLY ingest.staged_violation FORCE ROW LEVEL SECURITY;

-- Name: COLUMN staged_violation.rule; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.staged_violation.rule IS 'null: the row was read and is held back no longer';

-- Name: sync_operation; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.sync_operation (
    county text NOT NULL,
    id uuid NOT NULL,
    pair text NOT NULL,
    mode text NOT NULL,
    reader text NOT NULL,
    sequence bigint NOT NULL,
    rows_read bigint NOT NULL,
    rows_applied bigint NOT NULL,
    rows_unchanged bigint NOT NULL,
    rows_quarantined bigint NOT NULL,
    rows_filtered bigint NOT NULL,
    changes bigint NOT NULL,
    events bigint NOT NULL,
    details jsonb NOT NULL,
    finished_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    undone_by uuid,
    certificate_id uuid
);

ALTER TABLE ONLY ingest.sync_operation FORCE ROW LEVEL SECURITY;

-- Name: COLUMN sync_operation.id; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.sync_operation.id IS 'the id of its job';

-- Name: sync_operation_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.sync_operation_v1 AS
 SELECT j.county,
    j.id,
    COALESCE(o.pair, (j.parameters ->> 'pair'::text)) AS pair,
    COALESCE(o.mode, (j.parameters ->> 'mode'::text), 'incremental'::text) AS mode,
    COALESCE(o.reader, ''::text) AS reader,
    j.status,
    COALESCE(o.rows_read, (0)::bigint) AS rows_read,
    COALESCE(o.rows_applied, (0)::bigint) AS rows_applied,
    COALESCE(o.rows_unchanged, (0)::bigint) AS rows_unchanged,
    COALESCE(o.rows_quarantined, (0)::bigint) AS rows_quarantined,
    COALESCE(o.rows_filtered, (0)::bigint) AS rows_filtered,
    COALESCE(o.changes, (0)::bigint) AS changes,
    COALESCE(o.events, (0)::bigint) AS events,
    COALESCE(j.started_at, j.created_at) AS started_at,
    j.finished_at,
    COALESCE(o.details, j.error, '{}'::jsonb) AS details,
    o.sequence,
    o.certificate_id,
    o.undone_by,
    j.requested_by
   FROM (chassis.job j
     LEFT JOIN ingest.sync_operation o USING (county, id))
  WHERE (j.kind = 'sync'::text);

-- Name: sync_pair; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.sync_pair (
    county text NOT NULL,
    pair text NOT NULL,
    reader text NOT NULL,
    tables jsonb NOT NULL,
    sequence bigint DEFAULT 0 NOT NULL,
    last_operation_id uuid,
    last_synchronized_at timestamp with time zone,
    status text DEFAULT 'active'::text NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    lease_owner text,
    lease_expires_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    retry_at timestamp with time zone,
    working_year integer
);

ALTER TABLE ONLY ingest.sync_pair FORCE ROW LEVEL SECURITY;

-- Name: COLUMN sync_pair.sequence; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.sync_pair.sequence IS 'counts the applied operations';

-- Name: COLUMN sync_pair.status; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.sync_pair.status IS 'active, paused by a person, or held until one decides';

-- Name: COLUMN sync_pair.fence; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.sync_pair.fence IS 'rises with every owner: a late one changes nothing';

-- Name: COLUMN sync_pair.failures; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.sync_pair.failures IS 'failed runs in a row, for the circuit breaker';

-- Name: COLUMN sync_pair.working_year; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.sync_pair.working_year IS 'of the last run';

-- Name: sync_table; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.sync_table (
    county text NOT NULL,
    pair text NOT NULL,
    source_table text NOT NULL,
    reader text NOT NULL,
    content text DEFAULT 'row'::text NOT NULL,
    status text NOT NULL,
    token text,
    rules text,
    columns jsonb DEFAULT '{}'::jsonb NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    verified_through timestamp with time zone,
    stopped_code text,
    stopped_message text,
    token_at timestamp with time zone,
    blind_spots jsonb DEFAULT '[]'::jsonb NOT NULL
);

ALTER TABLE ONLY ingest.sync_table FORCE ROW LEVEL SECURITY;

-- Name: COLUMN sync_table.token_at; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.sync_table.token_at IS 'when the source gave the token, by its own clock';

-- Name: COLUMN sync_table.blind_spots; Type: COMMENT; Schema: ingest; Owner: -

COMMENT ON COLUMN ingest.sync_table.blind_spots IS 'what its reader cannot see, in words';

-- Name: sync_pair_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.sync_pair_v1 AS
 SELECT p.county,
    p.pair,
    p.reader,
    p.tables,
    p.last_operation_id,
    p.last_synchronized_at,
    p.status,
    p.failures,
    p.retry_at,
    t.verified_through,
    COALESCE(t.tables_stopped, (0)::bigint) AS tables_stopped,
    ( SELECT count(*) AS count
           FROM ingest.approval a
          WHERE ((a.county = p.county) AND (a.pair = p.pair) AND (a.status = 'pending'::text))) AS approvals_pending
   FROM (ingest.sync_pair p
     LEFT JOIN LATERAL ( SELECT count(*) FILTER (WHERE (s.stopped_code IS NOT NULL)) AS tables_stopped,
                CASE
                    WHEN bool_and((s.verified_through IS NOT NULL)) THEN min(s.verified_through)
                    ELSE NULL::timestamp with time zone
                END AS verified_through
           FROM ingest.sync_table s
          WHERE ((s.county = p.county) AND (s.pair = p.pair))) t ON (true));

-- Name: sync_range; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.sync_range (
    county text NOT NULL,
    pair text NOT NULL,
    source_table text NOT NULL,
    number integer NOT NULL,
    lower jsonb,
    upper jsonb,
    digest text
);

ALTER TABLE ONLY ingest.sync_range FORCE ROW LEVEL SECURITY;

-- Name: sync_run; Type: TABLE; Schema: ingest; Owner: -

CREATE TABLE ingest.sync_run (
    county text NOT NULL,
    pair text NOT NULL,
    id uuid NOT NULL,
    sequence bigint NOT NULL,
    mode text NOT NULL,
    rules text NOT NULL,
    working_year integer NOT NULL,
    phase text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL
);

ALTER TABLE ONLY ingest.sync_run FORCE ROW LEVEL SECURITY;

-- Name: sync_run_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.sync_run_v1 AS
 SELECT r.county,
    r.pair,
    r.id,
    r.mode,
    r.phase,
    r.sequence,
    r.started_at,
    r.seen_at,
    COALESCE(s.rows_read, (0)::bigint) AS rows_read,
    COALESCE(s.rows_compared, (0)::bigint) AS rows_compared,
    COALESCE(s.rows_quarantined, (0)::bigint) AS rows_quarantined,
    COALESCE(s.rows_filtered, (0)::bigint) AS rows_filtered,
    COALESCE(s.tables_begun, (0)::bigint) AS tables_begun,
    COALESCE(s.tables_done, (0)::bigint) AS tables_done,
    s.staged_at
   FROM (ingest.sync_run r
     LEFT JOIN LATERAL ( SELECT (sum(p.rows_read))::bigint AS rows_read,
            (sum(p.rows_compared))::bigint AS rows_compared,
            (sum(p.rows_quarantined))::bigint AS rows_quarantined,
            (sum(p.rows_filtered))::bigint AS rows_filtered,
            count(DISTINCT p.source_table) AS tables_begun,
            count(DISTINCT p.source_table) FILTER (WHERE p.is_done) AS tables_done,
            max(p.staged_at) AS staged_at
           FROM ingest.staged_progress p
          WHERE ((p.county = r.county) AND (p.pair = r.pair) AND (p.run_id = r.id))) s ON (true));

-- Name: sync_table_v1; Type: VIEW; Schema: ingest; Owner: -

CREATE VIEW ingest.sync_table_v1 AS
 SELECT county,
    pair,
    source_table,
    reader,
    content,
    status,
    token,
    token_at,
    rows,
    verified_through,
    stopped_code,
    stopped_message,
    blind_spots
   FROM ingest.sync_table;

-- Name: index; Type: TABLE; Schema: market; Owner: -

CREATE TABLE market.index (
    county text NOT NULL,
    study_id uuid NOT NULL,
    segment text NOT NULL,
    month date NOT NULL,
    sales integer NOT NULL,
    index double precision,
    index_low double precision,
    index_high double precision,
    reason text,
    median_price_usd numeric(14,2),
    median_price_per_sqft_usd numeric(14,2)
);

ALTER TABLE ONLY market.index FORCE ROW LEVEL SECURITY;

-- Name: COLUMN index.index; Type: COMMENT; Schema: market; Owner: -

COMMENT ON COLUMN market.index.index IS 'price level, base month = 100; null: too few sales, see reason';

-- Name: COLUMN index.index_low; Type: COMMENT; Schema: market; Owner: -

COMMENT ON COLUMN market.index.index_low IS '95 % interval';

-- Name: study; Type: TABLE; Schema: market; Owner: -

CREATE TABLE market.study (
    county text NOT NULL,
    study_id uuid NOT NULL,
    from_date date NOT NULL,
    to_date date NOT NULL,
    parameters jsonb NOT NULL,
    document jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY market.study FORCE ROW LEVEL SECURITY;

-- Name: COLUMN study.study_id; Type: COMMENT; Schema: market; Owner: -

COMMENT ON COLUMN market.study.study_id IS 'the job''s id';

-- Name: COLUMN study.document; Type: COMMENT; Schema: market; Owner: -

COMMENT ON COLUMN market.study.document IS 'MarketStudy of contracts/api/market.py';

-- Name: report_run; Type: TABLE; Schema: reporting; Owner: -

CREATE TABLE reporting.report_run (
    county text NOT NULL,
    job_id uuid NOT NULL,
    report text NOT NULL,
    format text NOT NULL,
    arguments jsonb NOT NULL,
    definition_hash text NOT NULL,
    watermark jsonb NOT NULL,
    summary jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY reporting.report_run FORCE ROW LEVEL SECURITY;

-- Name: COLUMN report_run.definition_hash; Type: COMMENT; Schema: reporting; Owner: -

COMMENT ON COLUMN reporting.report_run.definition_hash IS 'sha256 of report and arguments';

-- Name: COLUMN report_run.watermark; Type: COMMENT; Schema: reporting; Owner: -

COMMENT ON COLUMN reporting.report_run.watermark IS 'which data the report saw';

-- Name: decision; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.decision (
    county text NOT NULL,
    job_id uuid NOT NULL,
    action text NOT NULL,
    run_id uuid,
    parcel_id text,
    decided_by text NOT NULL,
    decided_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY valuation.decision FORCE ROW LEVEL SECURITY;

-- Name: decision_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.decision_v1 AS
 SELECT county,
    job_id,
    action,
    run_id,
    parcel_id,
    decided_by,
    decided_at
   FROM valuation.decision;

-- Name: model_run; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.model_run (
    county text NOT NULL,
    run_id uuid NOT NULL,
    tax_year integer NOT NULL,
    valuation_date date NOT NULL,
    model text NOT NULL,
    parameters jsonb NOT NULL,
    model_card jsonb NOT NULL,
    parcels_valued integer NOT NULL,
    parcels_refused integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    requested_by text,
    is_what_if boolean DEFAULT false NOT NULL,
    parcels_flagged integer,
    total_value_usd numeric(18,2),
    prior_basis text,
    code_version text,
    snapshot jsonb DEFAULT '[]'::jsonb NOT NULL,
    values_sha256 text,
    input_sha256 text
);

ALTER TABLE ONLY valuation.model_run FORCE ROW LEVEL SECURITY;

-- Name: COLUMN model_run.run_id; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.model_run.run_id IS 'the job''s id';

-- Name: COLUMN model_run.model_card; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.model_run.model_card IS 'data, accuracy on held-out sales, coefficients, version';

-- Name: COLUMN model_run.is_what_if; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.model_run.is_what_if IS 'made with factors: nobody''s latest value until it is promoted';

-- Name: COLUMN model_run.prior_basis; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.model_run.prior_basis IS 'prior_year or roll: what the values were laid beside';

-- Name: COLUMN model_run.snapshot; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.model_run.snapshot IS 'how far each pair had been read into the record';

-- Name: COLUMN model_run.values_sha256; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.model_run.values_sha256 IS 'digest of the values as they are stored, in their order';

-- Name: COLUMN model_run.input_sha256; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.model_run.input_sha256 IS 'digest of the sales and parcels that it is of';

-- Name: parcel_value; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.parcel_value (
    county text NOT NULL,
    run_id uuid NOT NULL,
    parcel_id text NOT NULL,
    kind text NOT NULL,
    value_usd numeric(14,2) NOT NULL,
    land_value_usd numeric(14,2),
    improvement_value_usd numeric(14,2),
    low_usd numeric(14,2) NOT NULL,
    high_usd numeric(14,2) NOT NULL,
    confidence double precision NOT NULL,
    contributions jsonb NOT NULL,
    comparables jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    neighborhood text,
    use_code text,
    prior_value_usd numeric(14,2),
    model_value_usd numeric(14,2),
    uncapped_value_usd numeric(14,2),
    flags text[] DEFAULT '{}'::text[] NOT NULL
);

ALTER TABLE ONLY valuation.parcel_value FORCE ROW LEVEL SECURITY;

-- Name: COLUMN parcel_value.land_value_usd; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.parcel_value.land_value_usd IS 'null: no assessed land share is known';

-- Name: COLUMN parcel_value.low_usd; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.parcel_value.low_usd IS '90 % interval';

-- Name: COLUMN parcel_value.confidence; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.parcel_value.confidence IS 'chance that the value is within 10 % of the price';

-- Name: COLUMN parcel_value.contributions; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.parcel_value.contributions IS 'USD by model or feature, adding up to the value';

-- Name: COLUMN parcel_value.comparables; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.parcel_value.comparables IS 'ComparableSale of contracts/api/valuation.py';

-- Name: COLUMN parcel_value.model_value_usd; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.parcel_value.model_value_usd IS 'as the model said, before factors and caps';

-- Name: COLUMN parcel_value.uncapped_value_usd; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.parcel_value.uncapped_value_usd IS 'after factors, before caps';

-- Name: parcel_value_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.parcel_value_v1 AS
 SELECT value.county,
    value.run_id,
    value.parcel_id,
    run.tax_year,
    run.valuation_date,
    run.model,
    value.value_usd,
    value.land_value_usd,
    value.improvement_value_usd,
    value.low_usd,
    value.high_usd,
    value.confidence,
    value.created_at,
    value.kind,
    value.neighborhood,
    value.use_code,
    value.model_value_usd,
    value.uncapped_value_usd,
    value.prior_value_usd,
    value.flags,
    run.is_what_if
   FROM (valuation.parcel_value value
     JOIN valuation.model_run run ON (((run.county = value.county) AND (run.run_id = value.run_id))));

-- Name: promotion; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.promotion (
    county text NOT NULL,
    id uuid NOT NULL,
    run_id uuid NOT NULL,
    status text DEFAULT 'requested'::text NOT NULL,
    overrides integer NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    request_reason text,
    decided_by text,
    decided_at timestamp with time zone,
    decision_reason text,
    CONSTRAINT promotion_four_eyes CHECK (((status <> 'approved'::text) OR (lower(decided_by) <> lower(requested_by)))),
    CONSTRAINT promotion_status CHECK ((status = ANY (ARRAY['requested'::text, 'approved'::text, 'rejected'::text])))
);

ALTER TABLE ONLY valuation.promotion FORCE ROW LEVEL SECURITY;

-- Name: COLUMN promotion.id; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.promotion.id IS 'the id of the job that asked for it';

-- Name: value_override; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.value_override (
    county text NOT NULL,
    id uuid NOT NULL,
    parcel_id text NOT NULL,
    tax_year integer NOT NULL,
    value_usd numeric(14,2) NOT NULL,
    land_value_usd numeric(14,2),
    reason text NOT NULL,
    run_id uuid,
    model_value_usd numeric(14,2),
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    withdrawn_by text,
    withdrawn_at timestamp with time zone,
    withdrawal_reason text
);

ALTER TABLE ONLY valuation.value_override FORCE ROW LEVEL SECURITY;

-- Name: COLUMN value_override.id; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.value_override.id IS 'the id of the job that entered it';

-- Name: COLUMN value_override.run_id; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.value_override.run_id IS 'the newest value of the parcel when it was entered';

-- Name: latest_value_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.latest_value_v1 AS
 SELECT latest.county,
    latest.run_id,
    latest.parcel_id,
    latest.tax_year,
    latest.valuation_date,
    latest.model,
    latest.value_usd,
    latest.land_value_usd,
    latest.improvement_value_usd,
    latest.low_usd,
    latest.high_usd,
    latest.confidence,
    latest.created_at,
    latest.kind,
    latest.neighborhood,
    latest.use_code,
    latest.model_value_usd,
    latest.uncapped_value_usd,
    latest.prior_value_usd,
    latest.flags,
    latest.is_what_if,
    override.id AS override_id,
    override.value_usd AS override_value_usd,
    override.land_value_usd AS override_land_value_usd,
    override.created_by AS overridden_by,
    override.created_at AS overridden_at,
    override.reason AS override_reason
   FROM (( SELECT DISTINCT ON (value.county, value.parcel_id) value.county,
            value.run_id,
            value.parcel_id,
            value.tax_year,
            value.valuation_date,
            value.model,
            value.value_usd,
            value.land_value_usd,
            value.improvement_value_usd,
            value.low_usd,
            value.high_usd,
            value.confidence,
            value.created_at,
            value.kind,
            value.neighborhood,
            value.use_code,
            value.model_value_usd,
            value.uncapped_value_usd,
            value.prior_value_usd,
            value.flags,
            value.is_what_if
           FROM valuation.parcel_value_v1 value
          WHERE ((NOT value.is_what_if) OR (EXISTS ( SELECT
                   FROM valuation.promotion promotion
                  WHERE ((promotion.county = value.county) AND (promotion.run_id = value.run_id) AND (promotion.status = 'approved'::text)))))
          ORDER BY value.county, value.parcel_id, value.created_at DESC, value.run_id DESC) latest
     LEFT JOIN valuation.value_override override ON (((override.county = latest.county) AND (override.parcel_id = latest.parcel_id) AND (override.tax_year = latest.tax_year) AND (override.withdrawn_at IS NULL))));

-- Name: posted_value; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.posted_value (
    county text NOT NULL,
    posting_id uuid NOT NULL,
    parcel_id text NOT NULL,
    value_usd numeric(14,2) NOT NULL,
    land_value_usd numeric(14,2),
    improvement_value_usd numeric(14,2),
    override_id uuid
);

ALTER TABLE ONLY valuation.posted_value FORCE ROW LEVEL SECURITY;

-- Name: COLUMN posted_value.land_value_usd; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.posted_value.land_value_usd IS 'null: the layout has no parts';

-- Name: posting; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.posting (
    county text NOT NULL,
    id uuid NOT NULL,
    run_id uuid NOT NULL,
    promotion_id uuid NOT NULL,
    pair text NOT NULL,
    sequence bigint,
    tax_year integer NOT NULL,
    layout jsonb NOT NULL,
    comes_back_as text NOT NULL,
    file_name text NOT NULL,
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    parcels integer NOT NULL,
    left_out jsonb NOT NULL,
    total_value_usd numeric(18,2) NOT NULL,
    land_value_usd numeric(18,2),
    improvement_value_usd numeric(18,2),
    posted_by text NOT NULL,
    posted_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY valuation.posting FORCE ROW LEVEL SECURITY;

-- Name: COLUMN posting.id; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.posting.id IS 'the id of the job whose artifact the file is';

-- Name: COLUMN posting.sequence; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.posting.sequence IS 'how far the pair had been read when it was posted';

-- Name: COLUMN posting.left_out; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.posting.left_out IS 'reasons by parcel';

-- Name: posted_parcel_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.posted_parcel_v1 AS
 SELECT posted.county,
    posted.posting_id,
    posted.parcel_id,
    posted.value_usd AS posted_usd,
    posted.land_value_usd AS posted_land_usd,
    posted.improvement_value_usd AS posted_improvement_usd,
    found.value_usd AS found_usd,
        CASE
            WHEN (posted.land_value_usd IS NOT NULL) THEN found.land_value_usd
            ELSE NULL::numeric
        END AS found_land_usd,
        CASE
            WHEN (posted.land_value_usd IS NOT NULL) THEN found.improvement_value_usd
            ELSE NULL::numeric
        END AS found_improvement_usd,
    found.tax_year AS found_tax_year,
        CASE
            WHEN (why.missing IS NOT NULL) THEN 'missing'::text
            WHEN (why.fields = ''::text) THEN 'matched'::text
            ELSE 'different'::text
        END AS status,
    COALESCE(why.missing, NULLIF(why.fields, ''::text)) AS reason
   FROM (((valuation.posted_value posted
     JOIN valuation.posting posting ON (((posting.county = posted.county) AND (posting.id = posted.posting_id))))
     LEFT JOIN LATERAL ( SELECT parcel.parcel_id,
            parcel.is_active,
            parcel.tax_year,
            parcel.land_value_usd,
            parcel.improvement_value_usd,
                CASE posting.comes_back_as
                    WHEN 'market_value_usd'::text THEN parcel.market_value_usd
                    ELSE parcel.total_value_usd
                END AS value_usd
           FROM ingest.parcel_v1 parcel
          WHERE ((parcel.county = posted.county) AND (parcel.parcel_id = posted.parcel_id))) found ON (true))
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN (found.parcel_id IS NULL) THEN 'not_in_record'::text
                    WHEN (NOT found.is_active) THEN 'inactive'::text
                    WHEN (found.tax_year <> posting.tax_year) THEN 'other_tax_year'::text
                    WHEN (found.value_usd IS NULL) THEN 'value_missing'::text
                    ELSE NULL::text
                END AS missing,
            concat_ws(', '::text,
                CASE
                    WHEN (found.value_usd <> posted.value_usd) THEN 'value_usd'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (posted.land_value_usd <> COALESCE(found.land_value_usd, ('-1'::integer)::numeric)) THEN 'land_value_usd'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (posted.improvement_value_usd <> COALESCE(found.improvement_value_usd, ('-1'::integer)::numeric)) THEN 'improvement_value_usd'::text
                    ELSE NULL::text
                END) AS fields) why);

-- Name: posting_check; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.posting_check (
    county text NOT NULL,
    posting_id uuid NOT NULL,
    operation_id uuid NOT NULL,
    sequence bigint,
    checked_at timestamp with time zone DEFAULT now() NOT NULL,
    matched integer NOT NULL,
    different integer NOT NULL,
    missing integer NOT NULL,
    found_usd numeric(18,2)
);

ALTER TABLE ONLY valuation.posting_check FORCE ROW LEVEL SECURITY;

-- Name: COLUMN posting_check.operation_id; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.posting_check.operation_id IS 'the synchronisation that was laid beside the posting';

-- Name: posting_check_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.posting_check_v1 AS
 SELECT county,
    posting_id,
    operation_id,
    sequence,
    checked_at,
    matched,
    different,
    missing,
    found_usd
   FROM valuation.posting_check;

-- Name: posting_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.posting_v1 AS
 SELECT county,
    id,
    run_id,
    promotion_id,
    pair,
    sequence,
    tax_year,
    comes_back_as,
    file_name,
    sha256,
    bytes,
    parcels,
    left_out,
    total_value_usd,
    land_value_usd,
    improvement_value_usd,
    posted_by,
    posted_at
   FROM valuation.posting;

-- Name: promoted_override; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.promoted_override (
    county text NOT NULL,
    promotion_id uuid NOT NULL,
    override_id uuid NOT NULL
);

ALTER TABLE ONLY valuation.promoted_override FORCE ROW LEVEL SECURITY;

-- Name: promotion_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.promotion_v1 AS
 SELECT county,
    id,
    run_id,
    status,
    overrides,
    requested_by,
    requested_at,
    request_reason,
    decided_by,
    decided_at,
    decision_reason
   FROM valuation.promotion;

-- Name: refused_parcel; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.refused_parcel (
    county text NOT NULL,
    run_id uuid NOT NULL,
    parcel_id text NOT NULL,
    reason text NOT NULL
);

ALTER TABLE ONLY valuation.refused_parcel FORCE ROW LEVEL SECURITY;

-- Name: refused_parcel_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.refused_parcel_v1 AS
 SELECT county,
    run_id,
    parcel_id,
    reason
   FROM valuation.refused_parcel;

-- Name: run_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.run_v1 AS
 SELECT county,
    run_id,
    tax_year,
    valuation_date,
    model,
    is_what_if,
    parcels_valued,
    parcels_refused,
    parcels_flagged,
    total_value_usd,
    requested_by,
    created_at,
    code_version,
    snapshot,
    values_sha256,
    prior_basis,
    parameters,
    model_card,
    input_sha256,
    ( SELECT promotion.status
           FROM valuation.promotion promotion
          WHERE ((promotion.county = run.county) AND (promotion.run_id = run.run_id))
          ORDER BY promotion.requested_at DESC, promotion.id DESC
         LIMIT 1) AS promotion_status,
    ( SELECT max(posting.posted_at) AS max
           FROM valuation.posting posting
          WHERE ((posting.county = run.county) AND (posting.run_id = run.run_id))) AS posted_at
   FROM valuation.model_run run;

-- Name: sale_decision; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.sale_decision (
    county text NOT NULL,
    id uuid NOT NULL,
    sale_id text NOT NULL,
    parcel_id text NOT NULL,
    decision text NOT NULL,
    reason text NOT NULL,
    sale_date date,
    sale_price_usd numeric(14,2),
    validity_code text,
    is_qualified boolean,
    findings jsonb NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT sale_decision_known CHECK ((decision = ANY (ARRAY['valid'::text, 'invalid'::text, 'needs_more'::text])))
);

ALTER TABLE ONLY valuation.sale_decision FORCE ROW LEVEL SECURITY;

-- Name: COLUMN sale_decision.id; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.sale_decision.id IS 'the id of the job that entered it';

-- Name: COLUMN sale_decision.sale_price_usd; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.sale_decision.sale_price_usd IS 'as it was then: of another price nobody has decided';

-- Name: COLUMN sale_decision.findings; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.sale_decision.findings IS 'as they stood then';

-- Name: sale_decision_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.sale_decision_v1 AS
 SELECT DISTINCT ON (county, sale_id) county,
    sale_id,
    id,
    parcel_id,
    decision,
    reason,
    sale_date,
    sale_price_usd,
    validity_code,
    is_qualified,
    decided_by,
    decided_at
   FROM valuation.sale_decision
  ORDER BY county, sale_id, decided_at DESC, id DESC;

-- Name: sale_review; Type: TABLE; Schema: valuation; Owner: -

CREATE TABLE valuation.sale_review (
    county text NOT NULL,
    sale_id text NOT NULL,
    parcel_id text NOT NULL,
    neighborhood text,
    sale_date date NOT NULL,
    sale_price_usd numeric(14,2),
    expected_price_usd numeric(14,2),
    robust_z double precision,
    influence_percent double precision NOT NULL,
    strength double precision NOT NULL,
    findings jsonb NOT NULL,
    job_id uuid NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY valuation.sale_review FORCE ROW LEVEL SECURITY;

-- Name: COLUMN sale_review.influence_percent; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.sale_review.influence_percent IS 'how far the level of its place moves with the sale';

-- Name: COLUMN sale_review.findings; Type: COMMENT; Schema: valuation; Owner: -

COMMENT ON COLUMN valuation.sale_review.findings IS 'reason, strength and figures, the strongest first';

-- Name: sale_finding_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.sale_finding_v1 AS
 SELECT review.county,
    review.sale_id,
    review.sale_price_usd,
    (finding.value ->> 'reason'::text) AS reason,
    ((finding.value ->> 'strength'::text))::double precision AS strength,
    (finding.value -> 'figures'::text) AS figures,
    review.found_at
   FROM (valuation.sale_review review
     CROSS JOIN LATERAL jsonb_array_elements(review.findings) finding(value));

-- Name: sale_review_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.sale_review_v1 AS
 SELECT county,
    sale_id,
    parcel_id,
    neighborhood,
    sale_date,
    sale_price_usd,
    expected_price_usd,
    robust_z,
    influence_percent,
    strength,
    findings,
    job_id,
    found_at
   FROM valuation.sale_review;

-- Name: value_override_v1; Type: VIEW; Schema: valuation; Owner: -

CREATE VIEW valuation.value_override_v1 AS
 SELECT county,
    id,
    parcel_id,
    tax_year,
    value_usd,
    land_value_usd,
    reason,
    run_id,
    model_value_usd,
    created_by,
    created_at,
    withdrawn_by,
    withdrawn_at,
    withdrawal_reason
   FROM valuation.value_override;

-- Name: inbox inbox_pkey; Type: CONSTRAINT; Schema: chassis; Owner: -

ALTER TABLE ONLY chassis.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (county, consumer, event_id);

-- Name: job job_idempotency_key; Type: CONSTRAINT; Schema: chassis; Owner: -

ALTER TABLE ONLY chassis.job
    ADD CONSTRAINT job_idempotency_key UNIQUE (county, requested_by, idempotency_key);

-- Name: job job_pkey; Type: CONSTRAINT; Schema: chassis; Owner: -

ALTER TABLE ONLY chassis.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (county, id);

-- Name: outbox outbox_pkey; Type: CONSTRAINT; Schema: chassis; Owner: -

ALTER TABLE ONLY chassis.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

-- Name: outbox outbox_position_key; Type: CONSTRAINT; Schema: chassis; Owner: -

ALTER TABLE ONLY chassis.outbox
    ADD CONSTRAINT outbox_position_key UNIQUE ("position");

-- Name: schedule schedule_pkey; Type: CONSTRAINT; Schema: chassis; Owner: -

ALTER TABLE ONLY chassis.schedule
    ADD CONSTRAINT schedule_pkey PRIMARY KEY (county, name);

-- Name: refresh_token refresh_token_pkey; Type: CONSTRAINT; Schema: gateway; Owner: -

ALTER TABLE ONLY gateway.refresh_token
    ADD CONSTRAINT refresh_token_pkey PRIMARY KEY (digest);

-- Name: user_grant user_grant_pkey; Type: CONSTRAINT; Schema: gateway; Owner: -

ALTER TABLE ONLY gateway.user_grant
    ADD CONSTRAINT user_grant_pkey PRIMARY KEY (county, username);

-- Name: user user_pkey; Type: CONSTRAINT; Schema: gateway; Owner: -

ALTER TABLE ONLY gateway."user"
    ADD CONSTRAINT user_pkey PRIMARY KEY (username);

-- Name: export_run export_run_pkey; Type: CONSTRAINT; Schema: gisexport; Owner: -

ALTER TABLE ONLY gisexport.export_run
    ADD CONSTRAINT export_run_pkey PRIMARY KEY (county, job_id);

-- Name: approval approval_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.approval
    ADD CONSTRAINT approval_pkey PRIMARY KEY (county, id);

-- Name: certificate certificate_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.certificate
    ADD CONSTRAINT certificate_pkey PRIMARY KEY (county, id);

-- Name: conflict conflict_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.conflict
    ADD CONSTRAINT conflict_pkey PRIMARY KEY (county, id);

-- Name: contribution contribution_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.contribution
    ADD CONSTRAINT contribution_pkey PRIMARY KEY (county, pair, entity, match_key);

-- Name: neighborhood neighborhood_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.neighborhood
    ADD CONSTRAINT neighborhood_pkey PRIMARY KEY (county, neighborhood, tax_year);

-- Name: owner owner_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.owner
    ADD CONSTRAINT owner_pkey PRIMARY KEY (county, parcel_id, tax_year, owner_id);

-- Name: parcel parcel_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.parcel
    ADD CONSTRAINT parcel_pkey PRIMARY KEY (county, parcel_id, tax_year, supplement);

-- Name: quarantine quarantine_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (county, pair, source_table, key, rule);

-- Name: row_before row_before_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.row_before
    ADD CONSTRAINT row_before_pkey PRIMARY KEY (county, pair, sequence, source_table, key);

-- Name: sale sale_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.sale
    ADD CONSTRAINT sale_pkey PRIMARY KEY (county, sale_id, parcel_id);

-- Name: schema_change schema_change_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.schema_change
    ADD CONSTRAINT schema_change_pkey PRIMARY KEY (county, pair, id);

-- Name: source_row source_row_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.source_row
    ADD CONSTRAINT source_row_pkey PRIMARY KEY (county, pair, source_table, key);

-- Name: staged_progress staged_progress_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.staged_progress
    ADD CONSTRAINT staged_progress_pkey PRIMARY KEY (county, pair, run_id, source_table, batch);

-- Name: sync_operation sync_operation_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.sync_operation
    ADD CONSTRAINT sync_operation_pkey PRIMARY KEY (county, id);

-- Name: sync_pair sync_pair_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.sync_pair
    ADD CONSTRAINT sync_pair_pkey PRIMARY KEY (county, pair);

-- Name: sync_range sync_range_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.sync_range
    ADD CONSTRAINT sync_range_pkey PRIMARY KEY (county, pair, source_table, number);

-- Name: sync_run sync_run_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.sync_run
    ADD CONSTRAINT sync_run_pkey PRIMARY KEY (county, pair);

-- Name: sync_table sync_table_pkey; Type: CONSTRAINT; Schema: ingest; Owner: -

ALTER TABLE ONLY ingest.sync_table
    ADD CONSTRAINT sync_table_pkey PRIMARY KEY (county, pair, source_table);

-- Name: index index_pkey; Type: CONSTRAINT; Schema: market; Owner: -

ALTER TABLE ONLY market.index
    ADD CONSTRAINT index_pkey PRIMARY KEY (county, study_id, segment, month);

-- Name: study study_pkey; Type: CONSTRAINT; Schema: market; Owner: -

ALTER TABLE ONLY market.study
    ADD CONSTRAINT study_pkey PRIMARY KEY (county, study_id);

-- Name: report_run report_run_pkey; Type: CONSTRAINT; Schema: reporting; Owner: -

ALTER TABLE ONLY reporting.report_run
    ADD CONSTRAINT report_run_pkey PRIMARY KEY (county, job_id);

-- Name: decision decision_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.decision
    ADD CONSTRAINT decision_pkey PRIMARY KEY (county, job_id);

-- Name: model_run model_run_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.model_run
    ADD CONSTRAINT model_run_pkey PRIMARY KEY (county, run_id);

-- Name: parcel_value parcel_value_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.parcel_value
    ADD CONSTRAINT parcel_value_pkey PRIMARY KEY (county, run_id, parcel_id);

-- Name: posted_value posted_value_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.posted_value
    ADD CONSTRAINT posted_value_pkey PRIMARY KEY (county, posting_id, parcel_id);

-- Name: posting_check posting_check_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.posting_check
    ADD CONSTRAINT posting_check_pkey PRIMARY KEY (county, posting_id, operation_id);

-- Name: posting posting_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.posting
    ADD CONSTRAINT posting_pkey PRIMARY KEY (county, id);

-- Name: promoted_override promoted_override_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.promoted_override
    ADD CONSTRAINT promoted_override_pkey PRIMARY KEY (county, promotion_id, override_id);

-- Name: promotion promotion_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.promotion
    ADD CONSTRAINT promotion_pkey PRIMARY KEY (county, id);

-- Name: refused_parcel refused_parcel_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.refused_parcel
    ADD CONSTRAINT refused_parcel_pkey PRIMARY KEY (county, run_id, parcel_id);

-- Name: sale_decision sale_decision_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.sale_decision
    ADD CONSTRAINT sale_decision_pkey PRIMARY KEY (county, id);

-- Name: sale_review sale_review_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.sale_review
    ADD CONSTRAINT sale_review_pkey PRIMARY KEY (county, sale_id);

-- Name: value_override value_override_pkey; Type: CONSTRAINT; Schema: valuation; Owner: -

ALTER TABLE ONLY valuation.value_override
    ADD CONSTRAINT value_override_pkey PRIMARY KEY (county, id);

-- Name: inbox_received_at; Type: INDEX; Schema: chassis; Owner: -

CREATE INDEX inbox_received_at ON chassis.inbox USING btree (received_at);

-- Name: job_idle; Type: INDEX; Schema: chassis; Owner: -

CREATE INDEX job_idle ON chassis.job USING btree (finished_at) WHERE ((result ->> 'is_idle'::text) = 'true'::text);

-- Name: job_newest; Type: INDEX; Schema: chassis; Owner: -

CREATE INDEX job_newest ON chassis.job USING btree (county, created_at DESC, id DESC);

-- Name: job_unended; Type: INDEX; Schema: chassis; Owner: -

CREATE INDEX job_unended ON chassis.job USING btree (status, published_at) WHERE (finished_at IS NULL);

-- Name: job_urgent; Type: INDEX; Schema: chassis; Owner: -

CREATE INDEX job_urgent ON chassis.job USING btree (county, kind, priority) WHERE ((status = 'queued'::text) AND (priority <> 'low'::text));

-- Name: schedule_due; Type: INDEX; Schema: chassis; Owner: -

CREATE INDEX schedule_due ON chassis.schedule USING btree (next_due_at) WHERE (NOT is_paused);

-- Name: refresh_token_session; Type: INDEX; Schema: gateway; Owner: -

CREATE INDEX refresh_token_session ON gateway.refresh_token USING btree (session);

-- Name: refresh_token_username; Type: INDEX; Schema: gateway; Owner: -

CREATE INDEX refresh_token_username ON gateway.refresh_token USING btree (username);

-- Name: export_run_newest; Type: INDEX; Schema: gisexport; Owner: -

CREATE INDEX export_run_newest ON gisexport.export_run USING btree (county, created_at DESC);

-- Name: certificate_pair; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX certificate_pair ON ingest.certificate USING btree (county, pair, sequence);

-- Name: conflict_open; Type: INDEX; Schema: ingest; Owner: -

CREATE UNIQUE INDEX conflict_open ON ingest.conflict USING btree (county, entity, entity_id, field) WHERE (status = 'open'::text);

-- Name: conflict_subject; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX conflict_subject ON ingest.conflict USING btree (county, entity, entity_id);

-- Name: contribution_matches; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX contribution_matches ON ingest.contribution USING btree (county, entity, matches);

-- Name: contribution_parcel; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX contribution_parcel ON ingest.contribution USING btree (county, pair, parcel_key);

-- Name: parcel_current; Type: INDEX; Schema: ingest; Owner: -

CREATE UNIQUE INDEX parcel_current ON ingest.parcel USING btree (county, parcel_id) WHERE is_current;

-- Name: parcel_official; Type: INDEX; Schema: ingest; Owner: -

CREATE UNIQUE INDEX parcel_official ON ingest.parcel USING btree (county, parcel_id, tax_year) WHERE is_official;

-- Name: row_before_key; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX row_before_key ON ingest.row_before USING btree (county, pair, source_table, key);

-- Name: sale_parcel; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX sale_parcel ON ingest.sale USING btree (county, parcel_id);

-- Name: source_row_lot; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX source_row_lot ON ingest.source_row USING btree (county, pair, source_table, lot_id) WHERE (lot_id IS NOT NULL);

-- Name: source_row_owner; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX source_row_owner ON ingest.source_row USING btree (county, pair, source_table, owner_id) WHERE (owner_id IS NOT NULL);

-- Name: source_row_parcel; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX source_row_parcel ON ingest.source_row USING btree (county, pair, source_table, parcel_id) WHERE (parcel_id IS NOT NULL);

-- Name: source_row_range; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX source_row_range ON ingest.source_row USING btree (range_number, county, pair, source_table);

-- Name: source_row_sale; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX source_row_sale ON ingest.source_row USING btree (county, pair, source_table, sale_id) WHERE (sale_id IS NOT NULL);

-- Name: staged_row_key; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX staged_row_key ON ingest.staged_row USING btree (county, pair, run_id, source_table, key);

-- Name: staged_row_run; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX staged_row_run ON ingest.staged_row USING btree (county, pair, run_id, source_table, batch, place);

-- Name: staged_violation_run; Type: INDEX; Schema: ingest; Owner: -

CREATE INDEX staged_violation_run ON ingest.staged_violation USING btree (county, pair, run_id, source_table, key);

-- Name: study_newest; Type: INDEX; Schema: market; Owner: -

CREATE INDEX study_newest ON market.study USING btree (county, created_at DESC);

-- Name: report_run_newest; Type: INDEX; Schema: reporting; Owner: -

CREATE INDEX report_run_newest ON reporting.report_run USING btree (county, report, created_at DESC);

-- Name: decision_run; Type: INDEX; Schema: valuation; Owner: -

CREATE INDEX decision_run ON valuation.decision USING btree (county, run_id, decided_at);

-- Name: model_run_newest; Type: INDEX; Schema: valuation; Owner: -

CREATE INDEX model_run_newest ON valuation.model_run USING btree (county, created_at DESC);

-- Name: parcel_value_flagged; Type: INDEX; Schema: valuation; Owner: -

CREATE INDEX parcel_value_flagged ON valuation.parcel_value USING btree (county, run_id, parcel_id) WHERE (flags <> '{}'::text[]);

-- Name: parcel_value_newest; Type: INDEX; Schema: valuation; Owner: -

CREATE INDEX parcel_value_newest ON valuation.parcel_value USING btree (county, parcel_id, created_at DESC);

-- Name: posting_promotion; Type: INDEX; Schema: valuation; Owner: -

CREATE UNIQUE INDEX posting_promotion ON valuation.posting USING btree (county, promotion_id);

-- Name: posting_run; Type: INDEX; Schema: valuation; Owner: -

CREATE INDEX posting_run ON valuation.posting USING btree (county, run_id);

-- Name: promotion_requested; Type: INDEX; Schema: valuation; Owner: -

CREATE UNIQUE INDEX promotion_requested ON valuation.promotion USING btree (county, run_id) WHERE (status = 'requested'::text);

-- Name: promotion_run; Type: INDEX; Schema: valuation; Owner: -

CREATE INDEX promotion_run ON valuation.promotion USING btree (county, run_id, requested_at DESC);

-- Name: sale_decision_newest; Type: INDEX; Schema: valuation; Owner: -

CREATE INDEX sale_decision_newest ON valuation.sale_decision USING btree (county, sale_id, decided_at DESC, id DESC);

-- Name: sale_review_influence; Type: INDEX; Schema: valuation; Owner: -

CREATE INDEX sale_review_influence ON valuation.sale_review USING btree (county, influence_percent DESC, sale_id);

-- Name: value_override_active; Type: INDEX; Schema: valuation; Owner: -

CREATE UNIQUE INDEX value_override_active ON valuation.value_override USING btree (county, parcel_id, tax_year) WHERE (withdrawn_at IS NULL);

-- Name: value_override_newest; Type: INDEX; Schema: valuation; Owner: -

CREATE INDEX value_override_newest ON valuation.value_override USING btree (county, created_at DESC, id DESC);

-- Name: inbox county_only; Type: POLICY; Schema: chassis; Owner: -

CREATE POLICY county_only ON chassis.inbox USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: job county_only; Type: POLICY; Schema: chassis; Owner: -

CREATE POLICY county_only ON chassis.job USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: outbox county_only; Type: POLICY; Schema: chassis; Owner: -

CREATE POLICY county_only ON chassis.outbox USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: schedule county_only; Type: POLICY; Schema: chassis; Owner: -

CREATE POLICY county_only ON chassis.schedule USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: inbox; Type: ROW SECURITY; Schema: chassis; Owner: -

ALTER TABLE chassis.inbox ENABLE ROW LEVEL SECURITY;

-- Name: job; Type: ROW SECURITY; Schema: chassis; Owner: -

ALTER TABLE chassis.job ENABLE ROW LEVEL SECURITY;

-- Name: outbox; Type: ROW SECURITY; Schema: chassis; Owner: -

ALTER TABLE chassis.outbox ENABLE ROW LEVEL SECURITY;

-- Name: schedule; Type: ROW SECURITY; Schema: chassis; Owner: -

ALTER TABLE chassis.schedule ENABLE ROW LEVEL SECURITY;

-- Name: user_grant county_only; Type: POLICY; Schema: gateway; Owner: -

CREATE POLICY county_only ON gateway.user_grant USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: user_grant; Type: ROW SECURITY; Schema: gateway; Owner: -

ALTER TABLE gateway.user_grant ENABLE ROW LEVEL SECURITY;

-- Name: export_run county_only; Type: POLICY; Schema: gisexport; Owner: -

CREATE POLICY county_only ON gisexport.export_run USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: export_run; Type: ROW SECURITY; Schema: gisexport; Owner: -

ALTER TABLE gisexport.export_run ENABLE ROW LEVEL SECURITY;

-- Name: approval; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.approval ENABLE ROW LEVEL SECURITY;

-- Name: certificate; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.certificate ENABLE ROW LEVEL SECURITY;

-- Name: conflict; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.conflict ENABLE ROW LEVEL SECURITY;

-- Name: contribution; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.contribution ENABLE ROW LEVEL SECURITY;

-- Name: approval county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.approval USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: certificate county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.certificate USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: conflict county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.conflict USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: contribution county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.contribution USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: neighborhood county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.neighborhood USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: owner county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.owner USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: parcel county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.parcel USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: quarantine county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.quarantine USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: row_before county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.row_before USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: sale county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.sale USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: schema_change county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.schema_change USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: source_row county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.source_row USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: staged_progress county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.staged_progress USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: staged_row county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.staged_row USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: staged_violation county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.staged_violation USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: sync_operation county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.sync_operation USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: sync_pair county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.sync_pair USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: sync_range county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.sync_range USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: sync_run county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.sync_run USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: sync_table county_only; Type: POLICY; Schema: ingest; Owner: -

CREATE POLICY county_only ON ingest.sync_table USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: neighborhood; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.neighborhood ENABLE ROW LEVEL SECURITY;

-- Name: owner; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.owner ENABLE ROW LEVEL SECURITY;

-- Name: parcel; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.parcel ENABLE ROW LEVEL SECURITY;

-- Name: quarantine; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.quarantine ENABLE ROW LEVEL SECURITY;

-- Name: row_before; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.row_before ENABLE ROW LEVEL SECURITY;

-- Name: sale; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.sale ENABLE ROW LEVEL SECURITY;

-- Name: schema_change; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.schema_change ENABLE ROW LEVEL SECURITY;

-- Name: source_row; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.source_row ENABLE ROW LEVEL SECURITY;

-- Name: staged_progress; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.staged_progress ENABLE ROW LEVEL SECURITY;

-- Name: staged_row; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.staged_row ENABLE ROW LEVEL SECURITY;

-- Name: staged_violation; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.staged_violation ENABLE ROW LEVEL SECURITY;

-- Name: sync_operation; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.sync_operation ENABLE ROW LEVEL SECURITY;

-- Name: sync_pair; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.sync_pair ENABLE ROW LEVEL SECURITY;

-- Name: sync_range; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.sync_range ENABLE ROW LEVEL SECURITY;

-- Name: sync_run; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.sync_run ENABLE ROW LEVEL SECURITY;

-- Name: sync_table; Type: ROW SECURITY; Schema: ingest; Owner: -

ALTER TABLE ingest.sync_table ENABLE ROW LEVEL SECURITY;

-- Name: index county_only; Type: POLICY; Schema: market; Owner: -

CREATE POLICY county_only ON market.index USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: study county_only; Type: POLICY; Schema: market; Owner: -

CREATE POLICY county_only ON market.study USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: index; Type: ROW SECURITY; Schema: market; Owner: -

ALTER TABLE market.index ENABLE ROW LEVEL SECURITY;

-- Name: study; Type: ROW SECURITY; Schema: market; Owner: -

ALTER TABLE market.study ENABLE ROW LEVEL SECURITY;

-- Name: report_run county_only; Type: POLICY; Schema: reporting; Owner: -

CREATE POLICY county_only ON reporting.report_run USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: report_run; Type: ROW SECURITY; Schema: reporting; Owner: -

ALTER TABLE reporting.report_run ENABLE ROW LEVEL SECURITY;

-- Name: decision county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.decision USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: model_run county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.model_run USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: parcel_value county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.parcel_value USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: posted_value county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.posted_value USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: posting county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.posting USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: posting_check county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.posting_check USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: promoted_override county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.promoted_override USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: promotion county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.promotion USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: refused_parcel county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.refused_parcel USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: sale_decision county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.sale_decision USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: sale_review county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.sale_review USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: value_override county_only; Type: POLICY; Schema: valuation; Owner: -

CREATE POLICY county_only ON valuation.value_override USING (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text))) WITH CHECK (((county = current_setting('terrafusion.county'::text, true)) OR (current_setting('terrafusion.county'::text, true) = '*'::text)));

-- Name: decision; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.decision ENABLE ROW LEVEL SECURITY;

-- Name: model_run; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.model_run ENABLE ROW LEVEL SECURITY;

-- Name: parcel_value; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.parcel_value ENABLE ROW LEVEL SECURITY;

-- Name: posted_value; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.posted_value ENABLE ROW LEVEL SECURITY;

-- Name: posting; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.posting ENABLE ROW LEVEL SECURITY;

-- Name: posting_check; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.posting_check ENABLE ROW LEVEL SECURITY;

-- Name: promoted_override; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.promoted_override ENABLE ROW LEVEL SECURITY;

-- Name: promotion; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.promotion ENABLE ROW LEVEL SECURITY;

-- Name: refused_parcel; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.refused_parcel ENABLE ROW LEVEL SECURITY;

-- Name: sale_decision; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.sale_decision ENABLE ROW LEVEL SECURITY;

-- Name: sale_review; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.sale_review ENABLE ROW LEVEL SECURITY;

-- Name: value_override; Type: ROW SECURITY; Schema: valuation; Owner: -

ALTER TABLE valuation.value_override ENABLE ROW LEVEL SECURITY;

-- Name: SCHEMA chassis; Type: ACL; Schema: -; Owner: -

GRANT USAGE ON SCHEMA chassis TO terrafusion_reader;

-- Name: SCHEMA gateway; Type: ACL; Schema: -; Owner: -

GRANT USAGE ON SCHEMA gateway TO terrafusion_gateway;
GRANT USAGE ON SCHEMA gateway TO terrafusion_reader;

-- Name: SCHEMA gisexport; Type: ACL; Schema: -; Owner: -

GRANT USAGE ON SCHEMA gisexport TO terrafusion_gisexport;
GRANT USAGE ON SCHEMA gisexport TO terrafusion_reader;

-- Name: SCHEMA ingest; Type: ACL; Schema: -; Owner: -

GRANT USAGE ON SCHEMA ingest TO terrafusion_ingest;
GRANT USAGE ON SCHEMA ingest TO terrafusion_reader;

-- Name: SCHEMA market; Type: ACL; Schema: -; Owner: -

GRANT USAGE ON SCHEMA market TO terrafusion_market;
GRANT USAGE ON SCHEMA market TO terrafusion_reader;

-- Name: SCHEMA reporting; Type: ACL; Schema: -; Owner: -

GRANT USAGE ON SCHEMA reporting TO terrafusion_reporting;
GRANT USAGE ON SCHEMA reporting TO terrafusion_reader;

-- Name: SCHEMA valuation; Type: ACL; Schema: -; Owner: -

GRANT USAGE ON SCHEMA valuation TO terrafusion_valuation;
GRANT USAGE ON SCHEMA valuation TO terrafusion_reader;

-- Name: FUNCTION analyze_landed(); Type: ACL; Schema: ingest; Owner: -

REVOKE ALL ON FUNCTION ingest.analyze_landed() FROM PUBLIC;
GRANT ALL ON FUNCTION ingest.analyze_landed() TO terrafusion_ingest;

-- Name: TABLE inbox; Type: ACL; Schema: chassis; Owner: -

GRANT SELECT,INSERT,DELETE ON TABLE chassis.inbox TO terrafusion_gateway;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.inbox TO terrafusion_ingest;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.inbox TO terrafusion_valuation;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.inbox TO terrafusion_market;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.inbox TO terrafusion_reporting;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.inbox TO terrafusion_gisexport;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.inbox TO terrafusion_relay;

-- Name: TABLE job; Type: ACL; Schema: chassis; Owner: -

GRANT SELECT,INSERT,UPDATE ON TABLE chassis.job TO terrafusion_gateway;
GRANT SELECT,INSERT,UPDATE ON TABLE chassis.job TO terrafusion_ingest;
GRANT SELECT,UPDATE ON TABLE chassis.job TO terrafusion_valuation;
GRANT SELECT,UPDATE ON TABLE chassis.job TO terrafusion_market;
GRANT SELECT,UPDATE ON TABLE chassis.job TO terrafusion_reporting;
GRANT SELECT,UPDATE ON TABLE chassis.job TO terrafusion_gisexport;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE chassis.job TO terrafusion_relay;

-- Name: TABLE outbox; Type: ACL; Schema: chassis; Owner: -

GRANT SELECT,INSERT,DELETE ON TABLE chassis.outbox TO terrafusion_gateway;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.outbox TO terrafusion_ingest;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.outbox TO terrafusion_valuation;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.outbox TO terrafusion_market;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.outbox TO terrafusion_reporting;
GRANT SELECT,INSERT,DELETE ON TABLE chassis.outbox TO terrafusion_gisexport;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE chassis.outbox TO terrafusion_relay;

-- Name: TABLE schedule; Type: ACL; Schema: chassis; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE chassis.schedule TO terrafusion_relay;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE chassis.schedule TO terrafusion_gateway;

-- Name: TABLE refresh_token; Type: ACL; Schema: gateway; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE gateway.refresh_token TO terrafusion_gateway;

-- Name: TABLE "user"; Type: ACL; Schema: gateway; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE gateway."user" TO terrafusion_gateway;

-- Name: TABLE user_grant; Type: ACL; Schema: gateway; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE gateway.user_grant TO terrafusion_gateway;

-- Name: TABLE export_run; Type: ACL; Schema: gisexport; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE gisexport.export_run TO terrafusion_gisexport;

-- Name: TABLE approval; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.approval TO terrafusion_ingest;

-- Name: TABLE approval_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.approval_v1 TO terrafusion_reader;

-- Name: TABLE certificate; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.certificate TO terrafusion_ingest;

-- Name: TABLE certificate_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.certificate_v1 TO terrafusion_reader;

-- Name: TABLE conflict; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.conflict TO terrafusion_ingest;

-- Name: TABLE conflict_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.conflict_v1 TO terrafusion_reader;

-- Name: TABLE contribution; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.contribution TO terrafusion_ingest;

-- Name: TABLE neighborhood; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.neighborhood TO terrafusion_ingest;

-- Name: TABLE neighborhood_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.neighborhood_v1 TO terrafusion_reader;

-- Name: TABLE owner; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.owner TO terrafusion_ingest;

-- Name: TABLE owner_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.owner_v1 TO terrafusion_reader;

-- Name: TABLE parcel; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.parcel TO terrafusion_ingest;

-- Name: TABLE parcel_official_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.parcel_official_v1 TO terrafusion_reader;

-- Name: TABLE parcel_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.parcel_v1 TO terrafusion_reader;

-- Name: TABLE quarantine; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.quarantine TO terrafusion_ingest;

-- Name: TABLE quarantine_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.quarantine_v1 TO terrafusion_reader;

-- Name: TABLE row_before; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.row_before TO terrafusion_ingest;

-- Name: TABLE sale; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.sale TO terrafusion_ingest;

-- Name: TABLE sale_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.sale_v1 TO terrafusion_reader;

-- Name: TABLE schema_change; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.schema_change TO terrafusion_ingest;

-- Name: TABLE schema_change_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.schema_change_v1 TO terrafusion_reader;

-- Name: TABLE source_row; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.source_row TO terrafusion_ingest;

-- Name: TABLE staged_progress; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.staged_progress TO terrafusion_ingest;

-- Name: TABLE staged_row; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.staged_row TO terrafusion_ingest;

-- Name: TABLE staged_violation; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.staged_violation TO terrafusion_ingest;

-- Name: TABLE sync_operation; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.sync_operation TO terrafusion_ingest;

-- Name: TABLE sync_operation_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.sync_operation_v1 TO terrafusion_reader;

-- Name: TABLE sync_pair; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.sync_pair TO terrafusion_ingest;

-- Name: TABLE sync_table; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.sync_table TO terrafusion_ingest;

-- Name: TABLE sync_pair_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.sync_pair_v1 TO terrafusion_reader;

-- Name: TABLE sync_range; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.sync_range TO terrafusion_ingest;

-- Name: TABLE sync_run; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ingest.sync_run TO terrafusion_ingest;

-- Name: TABLE sync_run_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.sync_run_v1 TO terrafusion_reader;

-- Name: TABLE sync_table_v1; Type: ACL; Schema: ingest; Owner: -

GRANT SELECT ON TABLE ingest.sync_table_v1 TO terrafusion_reader;

-- Name: TABLE index; Type: ACL; Schema: market; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE market.index TO terrafusion_market;

-- Name: TABLE study; Type: ACL; Schema: market; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE market.study TO terrafusion_market;

-- Name: TABLE report_run; Type: ACL; Schema: reporting; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE reporting.report_run TO terrafusion_reporting;

-- Name: TABLE decision; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.decision TO terrafusion_valuation;

-- Name: TABLE decision_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.decision_v1 TO terrafusion_reader;

-- Name: TABLE model_run; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.model_run TO terrafusion_valuation;

-- Name: TABLE parcel_value; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.parcel_value TO terrafusion_valuation;

-- Name: TABLE parcel_value_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.parcel_value_v1 TO terrafusion_reader;

-- Name: TABLE promotion; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.promotion TO terrafusion_valuation;

-- Name: COLUMN promotion.status; Type: ACL; Schema: valuation; Owner: -

GRANT UPDATE(status) ON TABLE valuation.promotion TO terrafusion_valuation;

-- Name: COLUMN promotion.decided_by; Type: ACL; Schema: valuation; Owner: -

GRANT UPDATE(decided_by) ON TABLE valuation.promotion TO terrafusion_valuation;

-- Name: COLUMN promotion.decided_at; Type: ACL; Schema: valuation; Owner: -

GRANT UPDATE(decided_at) ON TABLE valuation.promotion TO terrafusion_valuation;

-- Name: COLUMN promotion.decision_reason; Type: ACL; Schema: valuation; Owner: -

GRANT UPDATE(decision_reason) ON TABLE valuation.promotion TO terrafusion_valuation;

-- Name: TABLE value_override; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.value_override TO terrafusion_valuation;

-- Name: COLUMN value_override.withdrawn_by; Type: ACL; Schema: valuation; Owner: -

GRANT UPDATE(withdrawn_by) ON TABLE valuation.value_override TO terrafusion_valuation;

-- Name: COLUMN value_override.withdrawn_at; Type: ACL; Schema: valuation; Owner: -

GRANT UPDATE(withdrawn_at) ON TABLE valuation.value_override TO terrafusion_valuation;

-- Name: COLUMN value_override.withdrawal_reason; Type: ACL; Schema: valuation; Owner: -

GRANT UPDATE(withdrawal_reason) ON TABLE valuation.value_override TO terrafusion_valuation;

-- Name: TABLE latest_value_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.latest_value_v1 TO terrafusion_reader;

-- Name: TABLE posted_value; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.posted_value TO terrafusion_valuation;

-- Name: TABLE posting; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.posting TO terrafusion_valuation;

-- Name: TABLE posted_parcel_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.posted_parcel_v1 TO terrafusion_reader;

-- Name: TABLE posting_check; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.posting_check TO terrafusion_valuation;

-- Name: TABLE posting_check_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.posting_check_v1 TO terrafusion_reader;

-- Name: TABLE posting_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.posting_v1 TO terrafusion_reader;

-- Name: TABLE promoted_override; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.promoted_override TO terrafusion_valuation;

-- Name: TABLE promotion_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.promotion_v1 TO terrafusion_reader;

-- Name: TABLE refused_parcel; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.refused_parcel TO terrafusion_valuation;

-- Name: TABLE refused_parcel_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.refused_parcel_v1 TO terrafusion_reader;

-- Name: TABLE run_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.run_v1 TO terrafusion_reader;

-- Name: TABLE sale_decision; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT ON TABLE valuation.sale_decision TO terrafusion_valuation;

-- Name: TABLE sale_decision_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.sale_decision_v1 TO terrafusion_reader;

-- Name: TABLE sale_review; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE valuation.sale_review TO terrafusion_valuation;

-- Name: TABLE sale_finding_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.sale_finding_v1 TO terrafusion_reader;

-- Name: TABLE sale_review_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.sale_review_v1 TO terrafusion_reader;

-- Name: TABLE value_override_v1; Type: ACL; Schema: valuation; Owner: -

GRANT SELECT ON TABLE valuation.value_override_v1 TO terrafusion_reader;

-- Name: DEFAULT PRIVILEGES FOR SEQUENCES; Type: DEFAULT ACL; Schema: gateway; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA gateway GRANT USAGE ON SEQUENCES TO terrafusion_gateway;

-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: gateway; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA gateway GRANT SELECT,INSERT,DELETE,UPDATE ON TABLES TO terrafusion_gateway;

-- Name: DEFAULT PRIVILEGES FOR SEQUENCES; Type: DEFAULT ACL; Schema: gisexport; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA gisexport GRANT USAGE ON SEQUENCES TO terrafusion_gisexport;

-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: gisexport; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA gisexport GRANT SELECT,INSERT,DELETE,UPDATE ON TABLES TO terrafusion_gisexport;

-- Name: DEFAULT PRIVILEGES FOR SEQUENCES; Type: DEFAULT ACL; Schema: ingest; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA ingest GRANT USAGE ON SEQUENCES TO terrafusion_ingest;

-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: ingest; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA ingest GRANT SELECT,INSERT,DELETE,UPDATE ON TABLES TO terrafusion_ingest;

-- Name: DEFAULT PRIVILEGES FOR SEQUENCES; Type: DEFAULT ACL; Schema: market; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA market GRANT USAGE ON SEQUENCES TO terrafusion_market;

-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: market; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA market GRANT SELECT,INSERT,DELETE,UPDATE ON TABLES TO terrafusion_market;

-- Name: DEFAULT PRIVILEGES FOR SEQUENCES; Type: DEFAULT ACL; Schema: reporting; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA reporting GRANT USAGE ON SEQUENCES TO terrafusion_reporting;

-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: reporting; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA reporting GRANT SELECT,INSERT,DELETE,UPDATE ON TABLES TO terrafusion_reporting;

-- Name: DEFAULT PRIVILEGES FOR SEQUENCES; Type: DEFAULT ACL; Schema: valuation; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA valuation GRANT USAGE ON SEQUENCES TO terrafusion_valuation;

-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: valuation; Owner: -

ALTER DEFAULT PRIVILEGES FOR ROLE terrafusion IN SCHEMA valuation GRANT SELECT,INSERT,DELETE,UPDATE ON TABLES TO terrafusion_valuation;

-- PostgreSQL database dump complete
