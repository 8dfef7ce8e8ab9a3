-- The two roles of an index in PostgreSQL, with the rights that they need and no other.
-- Run it once, as an administrator, in a database that is the index's own:
--     createdb --encoding UTF8 --template template0 qa
--     psql --dbname qa --file docs/postgres-roles.sql
-- qa_builder runs `qa index` and `qa rollback`; qa_reader runs everything else.

-- Searches vectors; 0.8 or later.
CREATE EXTENSION IF NOT EXISTS vector;

-- Searches words, where it is installed: PostgreSQL 17 or later, shared_preload_libraries.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_textsearch')
        AND current_setting('shared_preload_libraries') LIKE '%pg_textsearch%' THEN
        CREATE EXTENSION IF NOT EXISTS pg_textsearch;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'qa_builder') THEN
        CREATE ROLE qa_builder LOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'qa_reader') THEN
        CREATE ROLE qa_reader LOGIN;
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO qa_builder, qa_reader', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO qa_builder', current_database());
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO qa_builder, qa_reader;

-- Every generation is a set of tables in this schema.
CREATE SCHEMA IF NOT EXISTS qa AUTHORIZATION qa_builder;
GRANT USAGE ON SCHEMA qa TO qa_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE qa_builder IN SCHEMA qa GRANT SELECT ON TABLES TO qa_reader;

-- Give them passwords, here by psql, which does not show what you type:
--     \password qa_builder
--     \password qa_reader
