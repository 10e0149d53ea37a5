--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: audit_log_is_append_only(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.audit_log_is_append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'audit_log is append-only';
END
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: _sqlx_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);


--
-- Name: audit_log; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    tenant text NOT NULL,
    actor_id bigint,
    actor_kind text,
    action text NOT NULL,
    file_id bigint,
    details text NOT NULL,
    CONSTRAINT audit_log_check CHECK (((actor_id IS NULL) = (actor_kind IS NULL)))
);


--
-- Name: audit_log_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: doomed_objects; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.doomed_objects (
    key text NOT NULL,
    delete_after timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    upload_id text
)
WITH (fillfactor='50');


--
-- Name: events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events (
    id bigint NOT NULL,
    event_id text NOT NULL,
    endpoint text NOT NULL,
    tenant text NOT NULL,
    type text NOT NULL,
    file_id bigint NOT NULL,
    payload text NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    attempts bigint DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone NOT NULL,
    leased_until timestamp with time zone,
    last_answer text,
    finished_at timestamp with time zone,
    CONSTRAINT events_check CHECK (((state = 'pending'::text) = (finished_at IS NULL))),
    CONSTRAINT events_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'dead'::text])))
);


--
-- Name: events_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: files; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.files (
    id bigint NOT NULL,
    tenant text NOT NULL,
    state text NOT NULL,
    type_name text NOT NULL,
    name text NOT NULL,
    disposition text NOT NULL,
    declared_type text,
    granted_type text NOT NULL,
    detected_type text,
    decided_type text,
    verdict text,
    pixel_width bigint,
    pixel_height bigint,
    min_size bigint NOT NULL,
    max_size bigint NOT NULL,
    checksum_sha256 text,
    staging_key text NOT NULL,
    sealed_key text,
    reissued bigint DEFAULT 0 NOT NULL,
    size bigint NOT NULL,
    etag text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_by_id bigint NOT NULL,
    created_by_kind text NOT NULL,
    updated_by_id bigint NOT NULL,
    updated_by_kind text NOT NULL,
    upload_id text,
    part_size bigint,
    deleted_at timestamp with time zone,
    deleted_by_id bigint,
    deleted_by_kind text,
    CONSTRAINT files_check CHECK ((max_size >= min_size)),
    CONSTRAINT files_check1 CHECK (((state = 'temp'::text) = (sealed_key IS NULL))),
    CONSTRAINT files_check2 CHECK (((state = 'temp'::text) = (etag IS NULL))),
    CONSTRAINT files_check3 CHECK (((state = 'temp'::text) = (verdict IS NULL))),
    CONSTRAINT files_check4 CHECK (((verdict IS NULL) = (decided_type IS NULL))),
    CONSTRAINT files_check5 CHECK (((state = 'deleted'::text) = (deleted_at IS NOT NULL))),
    CONSTRAINT files_check6 CHECK (((deleted_at IS NULL) = (deleted_by_id IS NULL))),
    CONSTRAINT files_check7 CHECK (((deleted_at IS NULL) = (deleted_by_kind IS NULL))),
    CONSTRAINT files_state_check CHECK ((state = ANY (ARRAY['temp'::text, 'active'::text, 'deleted'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_insert_scale_factor='0.02', autovacuum_analyze_scale_factor='0.02');


--
-- Name: files_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.files ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.files_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: gone_endpoints; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.gone_endpoints (
    name text NOT NULL,
    url text NOT NULL,
    gone_at timestamp with time zone NOT NULL
);


--
-- Name: idempotency_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.idempotency_keys (
    tenant text NOT NULL,
    actor_kind text NOT NULL,
    actor_id bigint NOT NULL,
    key text NOT NULL,
    request_sha256 bytea NOT NULL,
    file_id bigint NOT NULL,
    created_at timestamp with time zone NOT NULL
);


--
-- Name: shared_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.shared_keys (
    name text NOT NULL,
    secret bytea NOT NULL
);


--
-- Name: storage; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.storage (
    only_one integer NOT NULL,
    identity text NOT NULL,
    CONSTRAINT storage_only_one_check CHECK ((only_one = 1))
);


--
-- Name: ticket_files; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.ticket_files (
    tenant text NOT NULL,
    ticket_id bigint NOT NULL,
    file_id bigint NOT NULL,
    added_at timestamp with time zone NOT NULL,
    added_by_id bigint NOT NULL,
    added_by_kind text NOT NULL,
    CONSTRAINT ticket_files_ticket_id_check CHECK ((ticket_id > 0))
);


--
-- Name: tokens; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tokens (
    id bigint NOT NULL,
    lookup text NOT NULL,
    secret_sha256 bytea NOT NULL,
    tenant text NOT NULL,
    actor_id bigint NOT NULL,
    actor_kind text NOT NULL,
    scopes text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    file_types text,
    expires_at timestamp with time zone
);


--
-- Name: tokens_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.tokens ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Data for Name: _sqlx_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public._sqlx_migrations (version, description, installed_on, success, checksum, execution_time) FROM stdin;
1	files and tokens	2026-11-28 22:03:45.81387+00	t	\\xf2ddc88c45292514504e4c93b28525346a4e73de8b32127ae716e70d0793107261f38c5fd21ac6d99e592ccb330d6766	126094048
2	multipart	2026-11-28 22:03:45.947898+00	t	\\x6268e0ca86f6988b47664987db2cba5ac1e30cd44a28f9141a811f8450d8c50ac1698beea9ba9ce3171ebe69d691fe8f	3935555
3	staging keys	2026-11-28 22:03:45.956371+00	t	\\x015d6a1fd2c248ed524090958ba730a16d988be98a0b873473ad1d9f016a28581c2414ab389e34e3827d468520ecdf5f	11513651
4	lists and sweeps	2026-11-28 22:03:45.971978+00	t	\\x892f4f5a9507a43990ee867bfb4425b6d06e38e9112af08f711886ba57fb3b668a934bcc2ef5b131dc18600cdccba095	36080731
5	deleting	2026-11-28 22:03:46.011576+00	t	\\xf75d64c185d8e15102d734fb2e0fdf650a806f464830a981fab416c22636fd7acbe312b4414439c55e88d5a06abea6ab	6446485
6	tickets	2026-11-28 22:03:46.024656+00	t	\\x34e910e50ff82c0c338373989805b2096361f24164aaced103f8ea1aa5fd2f297260d9e24b92ccfbeb7b3efe89b95e62	19215520
7	events	2026-11-28 22:03:46.047944+00	t	\\xcdef3765de71925cfc06037d7a691ab463214b3b9fc8a9e99e2fc7434e4a5b5c70b7b93ea58614aa08403a6bdbe32384	84052574
8	permissions	2026-11-28 22:03:46.135828+00	t	\\x651b791caa36de62216773a17d32a3152d3479f52adbf06a342bc9289c55c14bfd0afc4f848b5d0b71ba8404252c0396	15999855
9	room for leases	2026-11-28 22:03:46.155863+00	t	\\xdf5f00b328a28f1c2121ca464456485a83831d13b25310ef275c2dc5a0f21cf1cd1f12228f9fb88eb58be03ad84763ee	7979562
10	lists of customers	2026-11-28 22:03:46.171796+00	t	\\xb1458f6fcc666446710b11c5b7450448af8fb4c0040f3f115a056312d661253e3c0bdf2dc5f25347b137a5c7fdfdd826	12039633
11	vacuum early	2026-11-28 22:03:46.1956+00	t	\\xc4fc286f3b47aaa281195078c7be43d5b9644455f1a35b40761d265b6773978b6d7bf83c66d5234cac3bbbcba9982c3e	4247388
\.


--
-- Data for Name: audit_log; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.audit_log (id, at, tenant, actor_id, actor_kind, action, file_id, details) FROM stdin;
1	2026-11-28 22:03:45.60919+00	default	\N	\N	token.created	\N	{"for":{"id":1,"type":"users"},"scopes":"files:read,files:write,files:delete","token":1,"via":"command line"}
2	2026-11-28 22:03:46.353268+00	acme	\N	\N	token.created	\N	{"for":{"id":1,"type":"users"},"scopes":"files:read,files:write,files:delete","token":2,"via":"command line"}
3	2026-11-28 22:03:46.70766+00	default	\N	\N	token.created	\N	{"for":{"id":2,"type":"users"},"scopes":"files:read","token":3,"via":"command line"}
4	2026-11-28 22:03:47.033191+00	default	\N	\N	token.created	\N	{"for":{"id":3,"type":"users"},"scopes":"files:read,files:write","token":4,"via":"command line"}
5	2026-11-28 22:03:47.1853+00	default	\N	\N	token.created	\N	{"for":{"id":7,"type":"customers"},"scopes":"files:read,files:write,files:delete","token":5,"via":"command line"}
6	2026-11-28 22:03:47.320592+00	acme	\N	\N	token.created	\N	{"for":{"id":7,"type":"customers"},"scopes":"files:read,files:write,files:delete","token":6,"via":"command line"}
7	2026-11-28 22:03:47.6333+00	default	\N	\N	token.created	\N	{"for":{"id":4,"type":"users"},"scopes":"files:read,files:write,files:delete","token":7,"via":"command line"}
8	2026-11-28 22:03:48.029707+00	default	\N	\N	token.created	\N	{"for":{"id":5,"type":"users"},"scopes":"files:read,files:write,files:delete","token":8,"via":"command line"}
9	2026-11-28 22:03:48.193092+00	default	\N	\N	token.revoked	\N	{"token":8,"via":"command line"}
10	2026-11-28 22:03:48.255819+00	acme	\N	\N	token.created	\N	{"for":{"id":8,"type":"customers"},"scopes":"files:read,files:write,files:delete","token":9,"via":"command line"}
11	2026-11-28 22:03:48.446754+00	acme	\N	\N	token.revoked	\N	{"token":9,"via":"command line"}
12	2026-11-28 22:03:49.750676+00	default	1	users	file.activated	1	{"filename":"note.txt"}
13	2026-11-28 22:03:49.953936+00	acme	1	users	file.activated	2	{"filename":"acme.txt"}
14	2026-11-28 22:03:52.056049+00	default	1	users	file.activated	3	{"filename":"Résumé.txt"}
15	2026-11-28 22:03:53.733041+00	default	1	users	file.activated	4	{"filename":"Résumé.txt"}
16	2026-11-28 22:03:54.335468+00	default	1	users	file.activated	5	{"filename":"🧾 Rechnung 📎.txt"}
17	2026-11-28 22:03:55.691549+00	default	1	users	file.activated	6	{"filename":"👩‍👧 Familie.txt"}
18	2026-11-28 22:03:56.366345+00	default	1	users	file.activated	7	{"filename":"İstanbul.txt"}
19	2026-11-28 22:03:57.537147+00	default	1	users	file.activated	8	{"filename":"STRASSE Straße.txt"}
20	2026-11-28 22:03:58.75789+00	default	1	users	file.activated	9	{"filename":"ΑΣΣΟΣ.txt"}
21	2026-11-28 22:04:00.745677+00	default	1	users	file.activated	10	{"filename":"東京.txt"}
22	2026-11-28 22:04:01.588126+00	default	1	users	file.activated	11	{"filename":"한글.txt"}
23	2026-11-28 22:04:03.924511+00	default	1	users	file.activated	12	{"filename":"한.txt"}
24	2026-11-28 22:04:06.095287+00	default	1	users	file.activated	13	{"filename":"عقد.txt"}
25	2026-11-28 22:04:07.991085+00	default	1	users	file.activated	14	{"filename":"100% _done_.txt"}
26	2026-11-28 22:04:09.092842+00	default	1	users	file.activated	15	{"filename":"a'b\\"c.txt"}
27	2026-11-28 22:04:10.451406+00	default	1	users	file.activated	16	{"filename":"éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé.txt"}
28	2026-11-28 22:04:11.169281+00	default	3	users	file.activated	17	{"filename":"Bild ü.png"}
29	2026-11-28 22:04:11.646169+00	default	1	users	file.activated	18	{"filename":"photo.jpg"}
30	2026-11-28 22:04:12.05322+00	default	1	users	file.activated	19	{"filename":"page.html"}
31	2026-11-28 22:04:13.277137+00	default	1	users	file.activated	20	{"filename":"build.zip"}
32	2026-11-28 22:04:14.57348+00	default	7	customers	file.activated	21	{"filename":"brief.txt"}
33	2026-11-28 22:04:14.860464+00	acme	7	customers	file.activated	22	{"filename":"brief.txt"}
34	2026-11-28 22:04:15.303939+00	default	1	users	file.activated	23	{"filename":"film.txt"}
35	2026-11-28 22:04:15.645374+00	default	1	users	file.activated	24	{"filename":"before.txt"}
36	2026-11-28 22:04:16.236366+00	default	1	users	file.renamed	24	{"before":{"disposition":"attachment","filename":"before.txt"},"disposition":"attachment","filename":"Nachher ä.txt"}
37	2026-11-28 22:04:18.479739+00	default	1	users	file.activated	25	{"filename":"restored.txt"}
38	2026-11-28 22:04:18.511586+00	default	1	users	file.deleted	25	{"filename":"restored.txt"}
39	2026-11-28 22:04:18.540481+00	default	1	users	file.restored	25	{"filename":"restored.txt"}
40	2026-11-28 22:04:18.659786+00	default	1	users	file.activated	26	{"filename":"gélöscht.txt"}
41	2026-11-28 22:04:18.685444+00	default	1	users	file.deleted	26	{"filename":"gélöscht.txt"}
42	2026-11-28 22:04:18.787882+00	acme	1	users	file.activated	27	{"filename":"deleted 🗑.txt"}
43	2026-11-28 22:04:18.802325+00	acme	1	users	file.deleted	27	{"filename":"deleted 🗑.txt"}
44	2026-11-28 22:04:18.912108+00	default	7	customers	file.activated	28	{"filename":"of a customer.txt"}
45	2026-11-28 22:04:18.936873+00	default	7	customers	file.deleted	28	{"filename":"of a customer.txt"}
46	2026-11-28 22:04:18.974858+00	default	1	users	file.attached	1	{"filename":"note.txt","ticket":5}
47	2026-11-28 22:04:18.974858+00	default	1	users	file.attached	3	{"filename":"Résumé.txt","ticket":5}
48	2026-11-28 22:04:18.974858+00	default	1	users	file.attached	4	{"filename":"Résumé.txt","ticket":5}
49	2026-11-28 22:04:18.974858+00	default	1	users	file.attached	21	{"filename":"brief.txt","ticket":5}
50	2026-11-28 22:04:19.032319+00	acme	1	users	file.attached	2	{"filename":"acme.txt","ticket":5}
51	2026-11-28 22:04:19.060024+00	default	1	users	file.attached	1	{"filename":"note.txt","ticket":6}
52	2026-11-28 22:04:19.060024+00	default	1	users	file.attached	24	{"filename":"Nachher ä.txt","ticket":6}
53	2026-11-28 22:04:19.08173+00	default	1	users	file.detached	24	{"filename":"Nachher ä.txt","ticket":6}
54	2026-11-28 22:04:19.197419+00	default	1	users	file.activated	29	{"filename":"uppy.txt"}
55	2026-11-28 22:04:19.377496+00	acme	9	users	file.activated	31	{"filename":"jwt.txt"}
56	2026-11-28 22:04:19.477794+00	default	3	users	file.rejected	39	{"filename":"no picture.png","reasons":{"mimeType":["must be ‘image/png’, but the bytes are something else"]},"size":17,"slip":0}
57	2026-11-28 22:04:19.711084+00	default	1	users	file.deleted	42	{"filename":"given up.txt"}
58	2026-11-28 22:04:20.122962+00	default	1	users	file.activated	43	{"filename":"killed.txt"}
\.


--
-- Data for Name: doomed_objects; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.doomed_objects (key, delete_after, leased_until, upload_id) FROM stdin;
temp/01a2242f9b23-f62b58a5169315bf48e3548480e9f960	2026-11-29 00:03:49+00	\N	\N
temp/01a2242f9c9e-1626f072026a110f5ef1144e770b7b3c	2026-11-29 00:03:49+00	\N	\N
temp/01a2242fa3d2-64d9ac6d01a305a7530a6e179012bc16	2026-11-29 00:03:51+00	\N	\N
temp/01a2242fabd0-cbb604ca61e7d7a92e168c0b553a0842	2026-11-29 00:03:53+00	\N	\N
temp/01a2242fac14-fbe1ada0e0be48aa4a8be4f0e69ac090	2026-11-29 00:03:53+00	\N	\N
temp/01a2242fb1ff-8bb62b6a3ff05eb479bfdfc41abc09e9	2026-11-29 00:03:55+00	\N	\N
temp/01a2242fb5b2-646492152f132012cea86527f4c5565a	2026-11-29 00:03:56+00	\N	\N
temp/01a2242fb685-dbe05385b279350af682f26423433080	2026-11-29 00:03:56+00	\N	\N
temp/01a2242fbbf1-f189437234e798e503e854306c0435ad	2026-11-29 00:03:57+00	\N	\N
temp/01a2242fc16d-03dd561f45c9e46867dc715942f58b18	2026-11-29 00:03:59+00	\N	\N
temp/01a2242fc7be-30e37790a5a7cdc084fd2ee858f5a9af	2026-11-29 00:04:00+00	\N	\N
temp/01a2242fcdd5-870c8a1ade31348c13b9b72f2a1d9d1f	2026-11-29 00:04:02+00	\N	\N
temp/01a2242fd414-45b986c4034deb23851f189e4c0c317c	2026-11-29 00:04:03+00	\N	\N
temp/01a2242fdc67-96417eb78e3f3387d0accc7ddaa4ef48	2026-11-29 00:04:06+00	\N	\N
temp/01a2242fe47f-ac2b090c43df9e7b3f45c1e42431fb6e	2026-11-29 00:04:08+00	\N	\N
temp/01a2242fe89a-30700cbea03b7b3ced7478caf62a2e9e	2026-11-29 00:04:09+00	\N	\N
temp/01a2242fed69-fcd65d55a19ddb2be48483fbef117277	2026-11-28 23:19:10+00	\N	\N
temp/01a2242ff039-f0f5f6b96a9aa78eff41d233136cd59c	2026-11-29 00:04:11+00	\N	\N
temp/01a2242ff29f-5f0fe8751518d4b6f8fd7a869c93859e	2026-11-29 00:04:11+00	\N	\N
temp/01a2242ff3b8-e85c973f8a66f43760a881c3c1567c42	2026-11-29 05:04:12+00	\N	\N
temp/01a2242ffb10-a40599f8b3c52219e7b5d2b6a550b95d	2026-11-29 00:04:13+00	\N	\N
temp/01a2242ffdab-d3796ef3890d7b8e0f5c578d9b9a25f9	2026-11-29 00:04:14+00	\N	\N
temp/01a2242ffeac-9fce97812e5dd8d2c19e98b06a0634cc	2026-11-29 00:04:14+00	\N	4d301bcd8289b7b71e6907c1c399c46f05d5b616_c828be6b92ed45658c3429bc04a4288b
temp/01a224300f2f-12fe6693aab93b1ff031513504701778	2026-11-29 00:04:19+00	\N	\N
temp/01a22430114e-b47d73827609603d4499a83e7b78b9d9	2026-11-29 00:04:19+00	\N	481bf1e48c5ce7abc13bb089c9818ae36b763adc_9a5f875487094e1da79cf134c7c392b2
temp/01a224300078-3c26b89c7b41879710ec349adc779325	2026-11-29 00:04:15+00	\N	\N
temp/01a224300c31-b4b0fc6aa234558f0125fb63fcf51789	2026-11-29 00:04:18+00	\N	\N
temp/01a224300cf9-cbc4b9450ad31b15d61a7e9223070c3b	2026-11-29 00:04:18+00	\N	\N
temp/01a224300d9c-5d01a835214a28f5637025cc550a0977	2026-11-29 00:04:18+00	\N	\N
temp/01a224300e11-fa3abf15dde55ed566bae18938c14a14	2026-11-29 00:04:18+00	\N	\N
temp/01a22430105d-844eb88a095a90a9f3188a8c78f52169	2026-11-29 00:04:19+00	\N	\N
files/01a224301095-769713ded43af00a3e7aa991b1f62125	2026-11-28 23:09:39.477794+00	\N	\N
temp/01a224301000-84bf78eba28f7451cd96682e2dd16fef	2026-11-29 00:04:19+00	\N	\N
temp/01a2243012e1-e5ef8e8488ddc312add8ee7aae7c3874	2026-11-29 00:04:20+00	\N	\N
\.


--
-- Data for Name: events; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.events (id, event_id, endpoint, tenant, type, file_id, payload, state, created_at, attempts, next_attempt_at, leased_until, last_answer, finished_at) FROM stdin;
3	evt_01a2242f9d4109146b1359aaede9f391	failing	acme	file.activated	2	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:49.790491Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"acme.txt","id":2,"mimeType":"text/plain","size":19,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:49.953936Z","updatedBy":{"id":1,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:03:49.953936Z","type":"file.activated"}	dead	2026-11-28 22:03:49.953936+00	2	2026-11-28 22:03:51.164468+00	\N	500 Internal Server Error	2026-11-28 22:03:51.334484+00
1	evt_01a2242f9c76ed0c6ffcb7cdda0e0da6	told	default	file.activated	1	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:49.411393Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"note.txt","id":1,"mimeType":"text/plain","size":17,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:49.750676Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:03:49.750676Z","type":"file.activated"}	delivered	2026-11-28 22:03:49.750676+00	1	2026-11-28 22:03:49.750676+00	\N	204 No Content	2026-11-28 22:03:49.788913+00
10	evt_01a2242fbae12ed13635cfc84fb355ae	told	default	file.activated	8	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:56.421175Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"STRASSE Straße.txt","id":8,"mimeType":"text/plain","size":16,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:57.537147Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:03:57.537147Z","type":"file.activated"}	delivered	2026-11-28 22:03:57.537147+00	1	2026-11-28 22:03:57.537147+00	\N	204 No Content	2026-11-28 22:03:58.723061+00
5	evt_01a2242fa57883497577feb58b4ec0fd	told	default	file.activated	3	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:51.634653Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"Résumé.txt","id":3,"mimeType":"text/plain","size":16,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:52.056049Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:03:52.056049Z","type":"file.activated"}	delivered	2026-11-28 22:03:52.056049+00	1	2026-11-28 22:03:52.056049+00	\N	204 No Content	2026-11-28 22:03:53.677116+00
2	evt_01a2242f9d4109146b1359aaede9f391	told	acme	file.activated	2	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:49.790491Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"acme.txt","id":2,"mimeType":"text/plain","size":19,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:49.953936Z","updatedBy":{"id":1,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:03:49.953936Z","type":"file.activated"}	delivered	2026-11-28 22:03:49.953936+00	1	2026-11-28 22:03:49.953936+00	\N	204 No Content	2026-11-28 22:03:50.049971+00
4	evt_01a2242f9d4109146b1359aaede9f391	closed	acme	file.activated	2	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:49.790491Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"acme.txt","id":2,"mimeType":"text/plain","size":19,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:49.953936Z","updatedBy":{"id":1,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:03:49.953936Z","type":"file.activated"}	dead	2026-11-28 22:03:49.953936+00	1	2026-11-28 22:03:49.953936+00	\N	410 Gone	2026-11-28 22:03:50.050668+00
7	evt_01a2242fae5f2cf249e31aada51fe853	told	default	file.activated	5	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:53.748849Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"🧾 Rechnung 📎.txt","id":5,"mimeType":"text/plain","size":16,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:54.335468Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:03:54.335468Z","type":"file.activated"}	delivered	2026-11-28 22:03:54.335468+00	1	2026-11-28 22:03:54.335468+00	\N	204 No Content	2026-11-28 22:03:55.460535+00
6	evt_01a2242fac050aebb6c77231f460f238	told	default	file.activated	4	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:53.680789Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"Résumé.txt","id":4,"mimeType":"text/plain","size":16,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:53.733041Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:03:53.733041Z","type":"file.activated"}	delivered	2026-11-28 22:03:53.733041+00	1	2026-11-28 22:03:53.733041+00	\N	204 No Content	2026-11-28 22:03:53.778568+00
9	evt_01a2242fb64e20dcae16cd0b9d4ee0de	told	default	file.activated	7	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:56.210027Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"İstanbul.txt","id":7,"mimeType":"text/plain","size":16,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:56.366345Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:03:56.366345Z","type":"file.activated"}	delivered	2026-11-28 22:03:56.366345+00	1	2026-11-28 22:03:56.366345+00	\N	204 No Content	2026-11-28 22:03:56.424441+00
8	evt_01a2242fb3abfb14b0d8df97ea1a7f6f	told	default	file.activated	6	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:55.263351Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"👩‍👧 Familie.txt","id":6,"mimeType":"text/plain","size":16,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:55.691549Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:03:55.691549Z","type":"file.activated"}	delivered	2026-11-28 22:03:55.691549+00	1	2026-11-28 22:03:55.691549+00	\N	204 No Content	2026-11-28 22:03:56.255435+00
11	evt_01a2242fbfa57b87ca916baba8f4609d	told	default	file.activated	9	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:57.809085Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"ΑΣΣΟΣ.txt","id":9,"mimeType":"text/plain","size":16,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:03:58.757890Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:03:58.757890Z","type":"file.activated"}	delivered	2026-11-28 22:03:58.75789+00	1	2026-11-28 22:03:58.75789+00	\N	204 No Content	2026-11-28 22:04:00.666085+00
12	evt_01a2242fc769100f9ea8d4bdfab89e0b	told	default	file.activated	10	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:03:59.213810Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"東京.txt","id":10,"mimeType":"text/plain","size":16,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:00.745677Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:00.745677Z","type":"file.activated"}	delivered	2026-11-28 22:04:00.745677+00	1	2026-11-28 22:04:00.745677+00	\N	204 No Content	2026-11-28 22:04:00.844595+00
13	evt_01a2242fcab4d99095436bed4020cb2a	told	default	file.activated	11	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:00.830930Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"한글.txt","id":11,"mimeType":"text/plain","size":16,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:01.588126Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:01.588126Z","type":"file.activated"}	delivered	2026-11-28 22:04:01.588126+00	1	2026-11-28 22:04:01.588126+00	\N	204 No Content	2026-11-28 22:04:03.090372+00
21	evt_01a2242ff395432712c81bb4bca799e9	told	default	file.activated	19	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:11.807177Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"page.html","id":19,"mimeType":"text/html","size":40,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:12.053220Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:12.053220Z","type":"file.activated"}	delivered	2026-11-28 22:04:12.05322+00	1	2026-11-28 22:04:12.05322+00	\N	204 No Content	2026-11-28 22:04:12.796639+00
14	evt_01a2242fd3d4019ac8f2936a155a9fde	told	default	file.activated	12	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:02.389877Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"한.txt","id":12,"mimeType":"text/plain","size":16,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:03.924511Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:03.924511Z","type":"file.activated"}	delivered	2026-11-28 22:04:03.924511+00	1	2026-11-28 22:04:03.924511+00	\N	204 No Content	2026-11-28 22:04:04.340085+00
19	evt_01a2242ff021bd9c45b0521f213a34fe	told	default	file.activated	17	{"data":{"actor":{"id":3,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:10.473395Z","createdBy":{"id":3,"type":"users"},"disposition":"attachment-inline","filename":"Bild ü.png","id":17,"mimeType":"image/png","pixelHeight":9,"pixelWidth":17,"size":210,"state":"active","type":"image","updatedAt":"2026-11-28T22:04:11.169281Z","updatedBy":{"id":3,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:11.169281Z","type":"file.activated"}	delivered	2026-11-28 22:04:11.169281+00	1	2026-11-28 22:04:11.169281+00	\N	204 No Content	2026-11-28 22:04:11.284376+00
15	evt_01a2242fdc4f84c1ee84ec31233f4627	told	default	file.activated	13	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:03.988985Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"عقد.txt","id":13,"mimeType":"text/plain","size":17,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:06.095287Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:06.095287Z","type":"file.activated"}	delivered	2026-11-28 22:04:06.095287+00	1	2026-11-28 22:04:06.095287+00	\N	204 No Content	2026-11-28 22:04:06.129053+00
18	evt_01a2242fed53a12c7880f79e9dd04912	told	default	file.activated	16	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:09.242797Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé.txt","id":16,"mimeType":"text/plain","size":17,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:10.451406Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:10.451406Z","type":"file.activated"}	delivered	2026-11-28 22:04:10.451406+00	1	2026-11-28 22:04:10.451406+00	\N	204 No Content	2026-11-28 22:04:10.561173+00
20	evt_01a2242ff1fe0b8b7fbd665568579220	told	default	file.activated	18	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:11.193375Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"photo.jpg","id":18,"mimeType":"image/png","pixelHeight":3,"pixelWidth":3,"size":74,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:11.646169Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:11.646169Z","type":"file.activated"}	delivered	2026-11-28 22:04:11.646169+00	1	2026-11-28 22:04:11.646169+00	\N	204 No Content	2026-11-28 22:04:11.852846+00
28	evt_01a22430019dcce642859feff5bdbb90	told	default	file.activated	24	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:15.352052Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"before.txt","id":24,"mimeType":"text/plain","size":9,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:15.645374Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:15.645374Z","type":"file.activated"}	delivered	2026-11-28 22:04:15.645374+00	1	2026-11-28 22:04:15.645374+00	\N	204 No Content	2026-11-28 22:04:16.244627+00
27	evt_01a224300047a5149a1156d62617639d	told	default	file.activated	23	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:14.892426Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"film.txt","id":23,"mimeType":"text/plain","size":5242887,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:15.303939Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:15.303939Z","type":"file.activated"}	delivered	2026-11-28 22:04:15.303939+00	1	2026-11-28 22:04:15.303939+00	\N	204 No Content	2026-11-28 22:04:15.346626+00
29	evt_01a224300cafb9997bab73988dd4ec1a	told	default	file.activated	25	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.353048Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"restored.txt","id":25,"mimeType":"text/plain","size":22,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:18.479739Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:18.479739Z","type":"file.activated"}	delivered	2026-11-28 22:04:18.479739+00	1	2026-11-28 22:04:18.479739+00	\N	204 No Content	2026-11-28 22:04:18.521724+00
30	evt_01a224300ccf61e65091de24d1c2daf5	told	default	file.deleted	25	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.353048Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"restored.txt","id":25,"mimeType":"text/plain","size":22,"state":"deleted","type":"attachment","updatedAt":"2026-11-28T22:04:18.479739Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:18.511586Z","type":"file.deleted"}	delivered	2026-11-28 22:04:18.511586+00	1	2026-11-28 22:04:18.511586+00	\N	204 No Content	2026-11-28 22:04:18.542835+00
16	evt_01a2242fe3b752eaa684b5feddb9c183	told	default	file.activated	14	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:06.119768Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"100% _done_.txt","id":14,"mimeType":"text/plain","size":17,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:07.991085Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:07.991085Z","type":"file.activated"}	delivered	2026-11-28 22:04:07.991085+00	1	2026-11-28 22:04:07.991085+00	\N	204 No Content	2026-11-28 22:04:08.531395+00
17	evt_01a2242fe804c009acfb77c212656bdf	told	default	file.activated	15	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:08.191730Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"a'b\\"c.txt","id":15,"mimeType":"text/plain","size":17,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:09.092842Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:09.092842Z","type":"file.activated"}	delivered	2026-11-28 22:04:09.092842+00	1	2026-11-28 22:04:09.092842+00	\N	204 No Content	2026-11-28 22:04:09.609294+00
22	evt_01a2242ff85d7f6376a34678ef71d610	told	default	file.activated	20	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:12.088794Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"build.zip","id":20,"mimeType":"application/zip","size":22,"state":"active","type":"artifact","updatedAt":"2026-11-28T22:04:13.277137Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:13.277137Z","type":"file.activated"}	delivered	2026-11-28 22:04:13.277137+00	1	2026-11-28 22:04:13.277137+00	\N	204 No Content	2026-11-28 22:04:14.498435+00
25	evt_01a2242ffe8cad6e2bff7f4359cc7f37	failing	acme	file.activated	22	{"data":{"actor":{"id":7,"type":"customers"},"file":{"createdAt":"2026-11-28T22:04:14.635108Z","createdBy":{"id":7,"type":"customers"},"disposition":"attachment","filename":"brief.txt","id":22,"mimeType":"text/plain","size":25,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:14.860464Z","updatedBy":{"id":7,"type":"customers"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:14.860464Z","type":"file.activated"}	pending	2026-11-28 22:04:14.860464+00	1	2026-11-28 22:16:03.406867+00	\N	500 Internal Server Error	\N
23	evt_01a2242ffd6dbb41f0cbbffd7fa62d23	told	default	file.activated	21	{"data":{"actor":{"id":7,"type":"customers"},"file":{"createdAt":"2026-11-28T22:04:13.968601Z","createdBy":{"id":7,"type":"customers"},"disposition":"attachment","filename":"brief.txt","id":21,"mimeType":"text/plain","size":17,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:14.573480Z","updatedBy":{"id":7,"type":"customers"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:14.573480Z","type":"file.activated"}	delivered	2026-11-28 22:04:14.57348+00	1	2026-11-28 22:04:14.57348+00	\N	204 No Content	2026-11-28 22:04:14.708954+00
24	evt_01a2242ffe8cad6e2bff7f4359cc7f37	told	acme	file.activated	22	{"data":{"actor":{"id":7,"type":"customers"},"file":{"createdAt":"2026-11-28T22:04:14.635108Z","createdBy":{"id":7,"type":"customers"},"disposition":"attachment","filename":"brief.txt","id":22,"mimeType":"text/plain","size":25,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:14.860464Z","updatedBy":{"id":7,"type":"customers"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:14.860464Z","type":"file.activated"}	delivered	2026-11-28 22:04:14.860464+00	1	2026-11-28 22:04:14.860464+00	\N	204 No Content	2026-11-28 22:04:14.917763+00
26	evt_01a2242ffe8cad6e2bff7f4359cc7f37	closed	acme	file.activated	22	{"data":{"actor":{"id":7,"type":"customers"},"file":{"createdAt":"2026-11-28T22:04:14.635108Z","createdBy":{"id":7,"type":"customers"},"disposition":"attachment","filename":"brief.txt","id":22,"mimeType":"text/plain","size":25,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:14.860464Z","updatedBy":{"id":7,"type":"customers"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:14.860464Z","type":"file.activated"}	dead	2026-11-28 22:04:14.860464+00	1	2026-11-28 22:04:14.860464+00	\N	not sent: the endpoint is gone	2026-11-28 22:04:14.917279+00
38	evt_01a224300df2fe7c36ec95dfb8bbf117	failing	acme	file.deleted	27	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.716121Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"deleted 🗑.txt","id":27,"mimeType":"text/plain","size":14,"state":"deleted","type":"attachment","updatedAt":"2026-11-28T22:04:18.787882Z","updatedBy":{"id":1,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:18.802325Z","type":"file.deleted"}	pending	2026-11-28 22:04:18.802325+00	0	2026-11-28 22:04:18.802325+00	\N	\N	\N
39	evt_01a224300df2fe7c36ec95dfb8bbf117	closed	acme	file.deleted	27	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.716121Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"deleted 🗑.txt","id":27,"mimeType":"text/plain","size":14,"state":"deleted","type":"attachment","updatedAt":"2026-11-28T22:04:18.787882Z","updatedBy":{"id":1,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:18.802325Z","type":"file.deleted"}	dead	2026-11-28 22:04:18.802325+00	1	2026-11-28 22:04:18.802325+00	\N	not sent: the endpoint is gone	2026-11-28 22:04:18.8663+00
37	evt_01a224300df2fe7c36ec95dfb8bbf117	told	acme	file.deleted	27	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.716121Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"deleted 🗑.txt","id":27,"mimeType":"text/plain","size":14,"state":"deleted","type":"attachment","updatedAt":"2026-11-28T22:04:18.787882Z","updatedBy":{"id":1,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:18.802325Z","type":"file.deleted"}	delivered	2026-11-28 22:04:18.802325+00	1	2026-11-28 22:04:18.802325+00	\N	204 No Content	2026-11-28 22:04:18.875921+00
44	evt_01a224301031ef45fd6103f724421e19	failing	acme	file.activated	31	{"data":{"actor":{"id":9,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:19.328271Z","createdBy":{"id":9,"type":"users"},"disposition":"attachment","filename":"jwt.txt","id":31,"mimeType":"text/plain","size":10,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:19.377496Z","updatedBy":{"id":9,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:19.377496Z","type":"file.activated"}	pending	2026-11-28 22:04:19.377496+00	1	2026-11-28 22:15:19.182744+00	\N	500 Internal Server Error	\N
41	evt_01a224300e784ca0ceafbf94990c275b	told	default	file.deleted	28	{"data":{"actor":{"id":7,"type":"customers"},"file":{"createdAt":"2026-11-28T22:04:18.833054Z","createdBy":{"id":7,"type":"customers"},"disposition":"attachment","filename":"of a customer.txt","id":28,"mimeType":"text/plain","size":17,"state":"deleted","type":"attachment","updatedAt":"2026-11-28T22:04:18.912108Z","updatedBy":{"id":7,"type":"customers"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:18.936873Z","type":"file.deleted"}	delivered	2026-11-28 22:04:18.936873+00	1	2026-11-28 22:04:18.936873+00	\N	204 No Content	2026-11-28 22:04:19.02104+00
45	evt_01a224301031ef45fd6103f724421e19	closed	acme	file.activated	31	{"data":{"actor":{"id":9,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:19.328271Z","createdBy":{"id":9,"type":"users"},"disposition":"attachment","filename":"jwt.txt","id":31,"mimeType":"text/plain","size":10,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:19.377496Z","updatedBy":{"id":9,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:19.377496Z","type":"file.activated"}	dead	2026-11-28 22:04:19.377496+00	1	2026-11-28 22:04:19.377496+00	\N	not sent: the endpoint is gone	2026-11-28 22:04:19.391761+00
43	evt_01a224301031ef45fd6103f724421e19	told	acme	file.activated	31	{"data":{"actor":{"id":9,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:19.328271Z","createdBy":{"id":9,"type":"users"},"disposition":"attachment","filename":"jwt.txt","id":31,"mimeType":"text/plain","size":10,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:19.377496Z","updatedBy":{"id":9,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:19.377496Z","type":"file.activated"}	delivered	2026-11-28 22:04:19.377496+00	1	2026-11-28 22:04:19.377496+00	\N	204 No Content	2026-11-28 22:04:19.407852+00
31	evt_01a224300cecfd55bee26f40afd22c1f	told	default	file.restored	25	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.353048Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"restored.txt","id":25,"mimeType":"text/plain","size":22,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:18.479739Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:18.540481Z","type":"file.restored"}	delivered	2026-11-28 22:04:18.540481+00	1	2026-11-28 22:04:18.540481+00	\N	204 No Content	2026-11-28 22:04:18.572497+00
35	evt_01a224300de39c8ef5b67c5e22150f94	failing	acme	file.activated	27	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.716121Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"deleted 🗑.txt","id":27,"mimeType":"text/plain","size":14,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:18.787882Z","updatedBy":{"id":1,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:18.787882Z","type":"file.activated"}	pending	2026-11-28 22:04:18.787882+00	1	2026-11-28 22:15:06.108207+00	\N	500 Internal Server Error	\N
32	evt_01a224300d63a3f97536faead0cbdaa2	told	default	file.activated	26	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.553117Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"gélöscht.txt","id":26,"mimeType":"text/plain","size":17,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:18.659786Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:18.659786Z","type":"file.activated"}	delivered	2026-11-28 22:04:18.659786+00	1	2026-11-28 22:04:18.659786+00	\N	204 No Content	2026-11-28 22:04:18.686759+00
33	evt_01a224300d7d7b0ccb8f314f644668d7	told	default	file.deleted	26	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.553117Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"gélöscht.txt","id":26,"mimeType":"text/plain","size":17,"state":"deleted","type":"attachment","updatedAt":"2026-11-28T22:04:18.659786Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:18.685444Z","type":"file.deleted"}	delivered	2026-11-28 22:04:18.685444+00	1	2026-11-28 22:04:18.685444+00	\N	204 No Content	2026-11-28 22:04:18.732414+00
40	evt_01a224300e60e4573dcdcc14d8142d11	told	default	file.activated	28	{"data":{"actor":{"id":7,"type":"customers"},"file":{"createdAt":"2026-11-28T22:04:18.833054Z","createdBy":{"id":7,"type":"customers"},"disposition":"attachment","filename":"of a customer.txt","id":28,"mimeType":"text/plain","size":17,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:18.912108Z","updatedBy":{"id":7,"type":"customers"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:18.912108Z","type":"file.activated"}	delivered	2026-11-28 22:04:18.912108+00	1	2026-11-28 22:04:18.912108+00	\N	204 No Content	2026-11-28 22:04:18.945329+00
36	evt_01a224300de39c8ef5b67c5e22150f94	closed	acme	file.activated	27	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.716121Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"deleted 🗑.txt","id":27,"mimeType":"text/plain","size":14,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:18.787882Z","updatedBy":{"id":1,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:18.787882Z","type":"file.activated"}	dead	2026-11-28 22:04:18.787882+00	1	2026-11-28 22:04:18.787882+00	\N	not sent: the endpoint is gone	2026-11-28 22:04:18.833766+00
34	evt_01a224300de39c8ef5b67c5e22150f94	told	acme	file.activated	27	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:18.716121Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"deleted 🗑.txt","id":27,"mimeType":"text/plain","size":14,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:18.787882Z","updatedBy":{"id":1,"type":"users"}},"tenant":"acme"},"timestamp":"2026-11-28T22:04:18.787882Z","type":"file.activated"}	delivered	2026-11-28 22:04:18.787882+00	1	2026-11-28 22:04:18.787882+00	\N	204 No Content	2026-11-28 22:04:18.837207+00
46	evt_01a22430109556636af8fda578c9c9c8	told	default	file.rejected	39	{"data":{"actor":{"id":3,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:19.464498Z","createdBy":{"id":3,"type":"users"},"disposition":"attachment","filename":"no picture.png","id":39,"mimeType":"image/png","size":0,"state":"temp","type":"image","updatedAt":"2026-11-28T22:04:19.464498Z","updatedBy":{"id":3,"type":"users"}},"reasons":{"mimeType":["must be ‘image/png’, but the bytes are something else"]},"size":17,"slip":0,"tenant":"default"},"timestamp":"2026-11-28T22:04:19.477794Z","type":"file.rejected"}	delivered	2026-11-28 22:04:19.477794+00	1	2026-11-28 22:04:19.477794+00	\N	204 No Content	2026-11-28 22:04:19.508494+00
42	evt_01a224300f7ddb1661bef08f1cb254fd	told	default	file.activated	29	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:19.119237Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"uppy.txt","id":29,"mimeType":"text/plain","size":9,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:19.197419Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:19.197419Z","type":"file.activated"}	delivered	2026-11-28 22:04:19.197419+00	1	2026-11-28 22:04:19.197419+00	\N	204 No Content	2026-11-28 22:04:19.282383+00
47	evt_01a22430117f096cb5e8e88dcf7f0664	told	default	file.deleted	42	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:19.662112Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"given up.txt","id":42,"mimeType":"text/plain","size":0,"state":"temp","type":"attachment","updatedAt":"2026-11-28T22:04:19.662112Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:19.711084Z","type":"file.deleted"}	delivered	2026-11-28 22:04:19.711084+00	1	2026-11-28 22:04:19.711084+00	\N	204 No Content	2026-11-28 22:04:19.746199+00
48	evt_01a22430131a39d7ee60263dbf0dd82f	told	default	file.activated	43	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:20.065029Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"killed.txt","id":43,"mimeType":"text/plain","size":24,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:20.122962Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:20.122962Z","type":"file.activated"}	delivered	2026-11-28 22:04:20.122962+00	1	2026-11-28 22:04:20.122962+00	\N	204 No Content	2026-11-28 22:04:20.144875+00
49	evt_01a22430131a39d7ee60263dbf0dd82f	hanging	default	file.activated	43	{"data":{"actor":{"id":1,"type":"users"},"file":{"createdAt":"2026-11-28T22:04:20.065029Z","createdBy":{"id":1,"type":"users"},"disposition":"attachment","filename":"killed.txt","id":43,"mimeType":"text/plain","size":24,"state":"active","type":"attachment","updatedAt":"2026-11-28T22:04:20.122962Z","updatedBy":{"id":1,"type":"users"}},"tenant":"default"},"timestamp":"2026-11-28T22:04:20.122962Z","type":"file.activated"}	pending	2026-11-28 22:04:20.122962+00	1	2026-11-28 22:04:20.122962+00	2026-11-28 22:05:20.13522+00	\N	\N
\.


--
-- Data for Name: files; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.files (id, tenant, state, type_name, name, disposition, declared_type, granted_type, detected_type, decided_type, verdict, pixel_width, pixel_height, min_size, max_size, checksum_sha256, staging_key, sealed_key, reissued, size, etag, created_at, updated_at, expires_at, created_by_id, created_by_kind, updated_by_id, updated_by_kind, upload_id, part_size, deleted_at, deleted_by_id, deleted_by_kind) FROM stdin;
5	default	active	attachment	🧾 Rechnung 📎.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fac14-fbe1ada0e0be48aa4a8be4f0e69ac090	files/01a2242fac3a-c6ee7e6ae37a659ff49f75c4f35e13e2	0	16	88da98f583514d1f10ca849f4d0ea62a	2026-11-28 22:03:53.748849+00	2026-11-28 22:03:54.335468+00	2026-11-28 23:03:53+00	1	users	1	users	\N	\N	\N	\N	\N
6	default	active	attachment	👩‍👧 Familie.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fb1ff-8bb62b6a3ff05eb479bfdfc41abc09e9	files/01a2242fb2c7-dfb1912998764fa483d1adebd26f7e3c	0	16	ca8f92501ffc60aa38644a882a5c7ceb	2026-11-28 22:03:55.263351+00	2026-11-28 22:03:55.691549+00	2026-11-28 23:03:55+00	1	users	1	users	\N	\N	\N	\N	\N
7	default	active	attachment	İstanbul.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fb5b2-646492152f132012cea86527f4c5565a	files/01a2242fb5e3-28d7b5fb7f242842f4d3c403eb3c8b07	0	16	e9eca556f5248018e89c0cbd70c11ddf	2026-11-28 22:03:56.210027+00	2026-11-28 22:03:56.366345+00	2026-11-28 23:03:56+00	1	users	1	users	\N	\N	\N	\N	\N
8	default	active	attachment	STRASSE Straße.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fb685-dbe05385b279350af682f26423433080	files/01a2242fb82d-a2d8b26ff0f98b53106c1b743b312d5f	0	16	141e09a27cd45fe5f52368f96f5e09d5	2026-11-28 22:03:56.421175+00	2026-11-28 22:03:57.537147+00	2026-11-28 23:03:56+00	1	users	1	users	\N	\N	\N	\N	\N
9	default	active	attachment	ΑΣΣΟΣ.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fbbf1-f189437234e798e503e854306c0435ad	files/01a2242fbf90-37770b81ed8eae03fd1ae17345ef8497	0	16	578c802129def094760fc2d36e9c01d2	2026-11-28 22:03:57.809085+00	2026-11-28 22:03:58.75789+00	2026-11-28 23:03:57+00	1	users	1	users	\N	\N	\N	\N	\N
10	default	active	attachment	東京.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fc16d-03dd561f45c9e46867dc715942f58b18	files/01a2242fc728-e697ce6e4db48d59d7eb5ceaa856e0e0	0	16	ea822711fd7d4bf176a2e543b3d7a274	2026-11-28 22:03:59.21381+00	2026-11-28 22:04:00.745677+00	2026-11-28 23:03:59+00	1	users	1	users	\N	\N	\N	\N	\N
11	default	active	attachment	한글.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fc7be-30e37790a5a7cdc084fd2ee858f5a9af	files/01a2242fca29-206b794ff2560edb4da4437ae172e268	0	16	32d8eda0f4a796e1115a07749f611fbf	2026-11-28 22:04:00.83093+00	2026-11-28 22:04:01.588126+00	2026-11-28 23:04:00+00	1	users	1	users	\N	\N	\N	\N	\N
12	default	active	attachment	한.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fcdd5-870c8a1ade31348c13b9b72f2a1d9d1f	files/01a2242fd233-6e10149a4df465305a71ba15a11e98d2	0	16	7af985b75dfe95ce2c3ecc7299ec288a	2026-11-28 22:04:02.389877+00	2026-11-28 22:04:03.924511+00	2026-11-28 23:04:02+00	1	users	1	users	\N	\N	\N	\N	\N
13	default	active	attachment	عقد.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fd414-45b986c4034deb23851f189e4c0c317c	files/01a2242fd817-6c88434cbf680e4171c62c09e2b45644	0	17	b20f63394927605e261de53fc9085b2d	2026-11-28 22:04:03.988985+00	2026-11-28 22:04:06.095287+00	2026-11-28 23:04:03+00	1	users	1	users	\N	\N	\N	\N	\N
14	default	active	attachment	100% _done_.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fdc67-96417eb78e3f3387d0accc7ddaa4ef48	files/01a2242fdf6d-861e97ee9220180a2df39ffeb7e9f1a7	0	17	8117693caa57010f979e7a4c023f309d	2026-11-28 22:04:06.119768+00	2026-11-28 22:04:07.991085+00	2026-11-28 23:04:06+00	1	users	1	users	\N	\N	\N	\N	\N
15	default	active	attachment	a'b"c.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fe47f-ac2b090c43df9e7b3f45c1e42431fb6e	files/01a2242fe5e0-58a4e4573c2a4932faa1a787894cbec9	0	17	6036f15e40391971ccf4cd674f6dc9e8	2026-11-28 22:04:08.19173+00	2026-11-28 22:04:09.092842+00	2026-11-28 23:04:08+00	1	users	1	users	\N	\N	\N	\N	\N
16	default	active	attachment	éééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fe89a-30700cbea03b7b3ced7478caf62a2e9e	files/01a2242febce-5e171fe1f3acb7b15ffad852069ac2be	0	17	f9bf1cf86cdaf4fbb89141a3afd1d80f	2026-11-28 22:04:09.242797+00	2026-11-28 22:04:10.451406+00	2026-11-28 23:04:09+00	1	users	1	users	\N	\N	\N	\N	\N
17	default	active	image	Bild ü.png	attachment-inline	image/png	image/png	image/png	image/png	matches	17	9	1	10485760	\N	temp/01a2242fed69-fcd65d55a19ddb2be48483fbef117277	files/01a2242fefd9-e6fbd86c0cff0ad1997a7ab857a18b20	0	210	54272a1023aeff4325f39fae1b7830ae	2026-11-28 22:04:10.473395+00	2026-11-28 22:04:11.169281+00	2026-11-28 22:19:10+00	3	users	3	users	\N	\N	\N	\N	\N
18	default	active	attachment	photo.jpg	attachment	image/jpeg	image/jpeg	image/png	image/png	relabeled	3	3	1	104857600	\N	temp/01a2242ff039-f0f5f6b96a9aa78eff41d233136cd59c	files/01a2242ff187-42e6416d8c041f54a34d19025438c3df	0	74	c521681bea8da7cc092a8b84169f8858	2026-11-28 22:04:11.193375+00	2026-11-28 22:04:11.646169+00	2026-11-28 23:04:11+00	1	users	1	users	\N	\N	\N	\N	\N
19	default	active	attachment	page.html	attachment	text/html	text/html	text/html	text/html	matches	\N	\N	1	104857600	\N	temp/01a2242ff29f-5f0fe8751518d4b6f8fd7a869c93859e	files/01a2242ff2d5-d7952b216ad94d1fea45dd572a2b7efa	0	40	3dd72c7bc7e3abb3ca2947edc7f4e95c	2026-11-28 22:04:11.807177+00	2026-11-28 22:04:12.05322+00	2026-11-28 23:04:11+00	1	users	1	users	\N	\N	\N	\N	\N
20	default	active	artifact	build.zip	attachment	application/zip	application/zip	\N	application/zip	trusted	\N	\N	1	5368709120	\N	temp/01a2242ff3b8-e85c973f8a66f43760a881c3c1567c42	files/01a2242ff705-88e748b31247e343cc3ba74adf18d002	0	22	76cdb2bad9582d23c1f6f4d868218d6c	2026-11-28 22:04:12.088794+00	2026-11-28 22:04:13.277137+00	2026-11-29 04:04:12+00	1	users	1	users	\N	\N	\N	\N	\N
2	acme	active	attachment	acme.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242f9c9e-1626f072026a110f5ef1144e770b7b3c	files/01a2242f9cd1-ac419acf3e709c549f059e0bcba5124f	0	19	6b74e83f7492b1087a12154b54c355ed	2026-11-28 22:03:49.790491+00	2026-11-28 22:03:49.953936+00	2026-11-28 23:03:49+00	1	users	1	users	\N	\N	\N	\N	\N
22	acme	active	attachment	brief.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242ffdab-d3796ef3890d7b8e0f5c578d9b9a25f9	files/01a2242ffe24-3481a2783214aa21abc26923e57f7fe2	0	25	531ba9c8b2733be9ee84513fee3991d1	2026-11-28 22:04:14.635108+00	2026-11-28 22:04:14.860464+00	2026-11-28 23:04:14+00	7	customers	7	customers	\N	\N	\N	\N	\N
28	default	deleted	attachment	of a customer.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a224300e11-fa3abf15dde55ed566bae18938c14a14	files/01a224300e29-de67f58fed598f1194cc55073fb5a36e	0	17	ffccd0c9575b519bd0bef47e8ed066ac	2026-11-28 22:04:18.833054+00	2026-11-28 22:04:18.912108+00	2026-11-28 23:04:18+00	7	customers	7	customers	\N	\N	2026-11-28 22:04:18.936873+00	7	customers
21	default	active	attachment	brief.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242ffb10-a40599f8b3c52219e7b5d2b6a550b95d	files/01a2242ffd24-321fd567167cafaf372632ecca06fe5a	0	17	895bbf96dd809992b9680957efd06167	2026-11-28 22:04:13.968601+00	2026-11-28 22:04:14.57348+00	2026-11-28 23:04:13+00	7	customers	7	customers	\N	\N	\N	\N	\N
30	default	temp	attachment	uppy-parts.txt	attachment	text/plain	text/plain	\N	\N	\N	\N	\N	1	104857600	\N	temp/01a224300fd9-bdc01e1f25d776a84aa49e7d29066d4b	\N	0	0	\N	2026-11-28 22:04:19.289524+00	2026-11-28 22:04:19.289524+00	2026-11-28 23:04:19+00	1	users	1	users	0cdb98de6b363dc847150bd30fc4bae5787f61b7_e0dbcb9773ce4c49995a36a25febd7f4	\N	\N	\N	\N
31	acme	active	attachment	jwt.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a224301000-84bf78eba28f7451cd96682e2dd16fef	files/01a22430100c-18eb5b2d4596e1d34f23dd05e7e0baa3	0	10	4970da786c8d62d774267206504f5739	2026-11-28 22:04:19.328271+00	2026-11-28 22:04:19.377496+00	2026-11-28 23:04:19+00	9	users	9	users	\N	\N	\N	\N	\N
23	default	active	attachment	film.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	5242887	5242887	\N	temp/01a2242ffeac-9fce97812e5dd8d2c19e98b06a0634cc	files/01a2242fffbc-9eb674543150002dbc3d1e00d895de72	0	5242887	a5a1401a8b1b0f398cb90be5b9cb5478-2	2026-11-28 22:04:14.892426+00	2026-11-28 22:04:15.303939+00	2026-11-28 23:04:14+00	1	users	1	users		5242880	\N	\N	\N
26	default	deleted	attachment	gélöscht.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a224300cf9-cbc4b9450ad31b15d61a7e9223070c3b	files/01a224300d10-52d157f3019541b71cc14f5c9065be78	0	17	ffccd0c9575b519bd0bef47e8ed066ac	2026-11-28 22:04:18.553117+00	2026-11-28 22:04:18.659786+00	2026-11-28 23:04:18+00	1	users	1	users	\N	\N	2026-11-28 22:04:18.685444+00	1	users
27	acme	deleted	attachment	deleted 🗑.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a224300d9c-5d01a835214a28f5637025cc550a0977	files/01a224300db1-3d800982e7e152b7a5714085e302da27	0	14	d87d48729802d889e416f810cfa3f341	2026-11-28 22:04:18.716121+00	2026-11-28 22:04:18.787882+00	2026-11-28 23:04:18+00	1	users	1	users	\N	\N	2026-11-28 22:04:18.802325+00	1	users
32	default	temp	attachment	waiting é.txt	attachment	text/plain	text/plain	\N	\N	\N	\N	\N	1	104857600	\N	temp/01a224301042-0bd7599501b3ae243e88d34ef723f4f6	\N	0	0	\N	2026-11-28 22:04:19.394742+00	2026-11-28 22:04:19.394742+00	2026-11-28 23:04:19+00	1	users	1	users	\N	\N	\N	\N	\N
25	default	active	attachment	restored.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a224300c31-b4b0fc6aa234558f0125fb63fcf51789	files/01a224300c8c-287854a2cd2d8ed0d7a8266f3b532617	0	22	7fd0cf8aa838a57319e5c61391c6a63f	2026-11-28 22:04:18.353048+00	2026-11-28 22:04:18.479739+00	2026-11-28 23:04:18+00	1	users	1	users	\N	\N	\N	\N	\N
24	default	active	attachment	Nachher ä.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a224300078-3c26b89c7b41879710ec349adc779325	files/01a224300117-e300c131fc311ffd4557f4902e8eec76	0	9	e4ae9d8afc206d9d3ae529ca525c5772	2026-11-28 22:04:15.352052+00	2026-11-28 22:04:16.236366+00	2026-11-28 23:04:15+00	1	users	1	users	\N	\N	\N	\N	\N
33	acme	temp	artifact	waiting.txt	attachment	text/plain	text/plain	\N	\N	\N	\N	\N	1	5368709120	\N	temp/01a224301050-c9936a321c1b40ff6d5a3af9806b8c42	\N	0	0	\N	2026-11-28 22:04:19.408944+00	2026-11-28 22:04:19.408944+00	2026-11-29 04:04:19+00	7	customers	7	customers	\N	\N	\N	\N	\N
34	default	temp	attachment	once.txt	attachment	text/plain	text/plain	\N	\N	\N	\N	\N	1	104857600	\N	temp/01a224301055-ff93278cfadf90818261948d2026533a	\N	0	0	\N	2026-11-28 22:04:19.413869+00	2026-11-28 22:04:19.413869+00	2026-11-28 23:04:19+00	1	users	1	users	\N	\N	\N	\N	\N
35	default	temp	attachment	again.txt	attachment	text/plain	text/plain	\N	\N	\N	\N	\N	1	104857600	\N	temp/01a224301061-1bc4c67fd569a578ae0d38fd64d8d636	\N	1	0	\N	2026-11-28 22:04:19.421628+00	2026-11-28 22:04:19.425279+00	2026-11-28 23:04:19+00	1	users	1	users	\N	\N	\N	\N	\N
36	default	temp	attachment	arrived 📦.txt	attachment	text/plain	text/plain	\N	\N	\N	\N	\N	1	104857600	\N	temp/01a224301069-4b9a8963f184467e0e440a94c2e0d78e	\N	0	0	\N	2026-11-28 22:04:19.433995+00	2026-11-28 22:04:19.433995+00	2026-11-28 23:04:19+00	1	users	1	users	\N	\N	\N	\N	\N
37	default	temp	attachment	arrived.txt	attachment	text/plain	text/plain	\N	\N	\N	\N	\N	1	104857600	\N	temp/01a22430106f-d37f51b4d9940e089d3f6916b6574b7a	\N	0	0	\N	2026-11-28 22:04:19.439615+00	2026-11-28 22:04:19.439615+00	2026-11-28 23:04:19+00	7	customers	7	customers	\N	\N	\N	\N	\N
38	acme	temp	attachment	arrivé.txt	attachment	text/plain	text/plain	\N	\N	\N	\N	\N	1	104857600	\N	temp/01a22430107c-cb7a168e1296258857c353ea2ba61bf7	\N	0	0	\N	2026-11-28 22:04:19.452897+00	2026-11-28 22:04:19.452897+00	2026-11-28 23:04:19+00	1	users	1	users	\N	\N	\N	\N	\N
39	default	temp	image	no picture.png	attachment	image/png	image/png	\N	\N	\N	\N	\N	1	10485760	\N	temp/01a224301088-016f5dd3522b766f33e291727161e98d	\N	0	0	\N	2026-11-28 22:04:19.464498+00	2026-11-28 22:04:19.464498+00	2026-11-28 22:19:19+00	3	users	3	users	\N	\N	\N	\N	\N
3	default	active	attachment	Résumé.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fa3d2-64d9ac6d01a305a7530a6e179012bc16	files/01a2242fa3eb-b436bc363f01538db8159aec63a07ff6	0	16	ef230d024e041d3d97c6ada41ca1abde	2026-11-28 22:03:51.634653+00	2026-11-28 22:03:52.056049+00	2026-11-28 23:03:51+00	1	users	1	users	\N	\N	\N	\N	\N
4	default	active	attachment	Résumé.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2242fabd0-cbb604ca61e7d7a92e168c0b553a0842	files/01a2242fabe7-7aa69cfea24703e319f60b75c63125ca	0	16	79e0174ccfe1056715d73c6cfb4654e6	2026-11-28 22:03:53.680789+00	2026-11-28 22:03:53.733041+00	2026-11-28 23:03:53+00	1	users	1	users	\N	\N	\N	\N	\N
1	default	active	attachment	note.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	17	17	Poz9vIhKAK2VnSi63I2C0vaEgLzuY9S+wmYQWsyDO9A=	temp/01a2242f9b23-f62b58a5169315bf48e3548480e9f960	files/01a2242f9c40-dfdd5de512ea8328f4bc6517da79212f	0	17	90ed4b711e911cd190bb62894c1c7fa4	2026-11-28 22:03:49.411393+00	2026-11-28 22:03:49.750676+00	2026-11-28 23:03:49+00	1	users	1	users	\N	\N	\N	\N	\N
29	default	active	attachment	uppy.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a224300f2f-12fe6693aab93b1ff031513504701778	files/01a224300f4e-d942ae1734bec65811993e6288575267	0	9	c60fbc3ff711617f91ad937d2664b322	2026-11-28 22:04:19.119237+00	2026-11-28 22:04:19.197419+00	2026-11-28 23:04:19+00	1	users	1	users	\N	\N	\N	\N	\N
40	default	temp	attachment	half a film.txt	attachment	text/plain	text/plain	\N	\N	\N	\N	\N	5242980	5242980	\N	temp/01a2243010ac-ca0af7a7898b469e6c4cab0d7461fe1c	\N	0	0	\N	2026-11-28 22:04:19.500004+00	2026-11-28 22:04:19.500004+00	2026-11-28 23:04:19+00	1	users	1	users	bb60ee9808d1ac634d499be875cb9d633092eb5e_1e1da630d23b4c06b3706a160357980c	5242880	\N	\N	\N
41	default	temp	attachment	no part yet.txt	attachment	text/plain	text/plain	\N	\N	\N	\N	\N	100	100	\N	temp/01a224301134-7e2d8df7a6a7c7a537222ff5074dd07f	\N	0	0	\N	2026-11-28 22:04:19.636289+00	2026-11-28 22:04:19.636289+00	2026-11-28 23:04:19+00	1	users	1	users	328e1b2bab3e527cd670d76ca8ee00b6b4b66787_7c736124310e4bc480f49658fa97b7e9	5242880	\N	\N	\N
43	default	active	attachment	killed.txt	attachment	text/plain	text/plain	\N	text/plain	matches	\N	\N	1	104857600	\N	temp/01a2243012e1-e5ef8e8488ddc312add8ee7aae7c3874	files/01a2243012fc-fd0a8feb0b4e92d8800e3b0223bc7d67	0	24	3247844c5eebf12c0b4aa8460332e95c	2026-11-28 22:04:20.065029+00	2026-11-28 22:04:20.122962+00	2026-11-28 23:04:20+00	1	users	1	users	\N	\N	\N	\N	\N
\.


--
-- Data for Name: gone_endpoints; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.gone_endpoints (name, url, gone_at) FROM stdin;
closed	http://127.0.0.1:42355/closed	2026-11-28 22:03:50.050668+00
\.


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.idempotency_keys (tenant, actor_kind, actor_id, key, request_sha256, file_id, created_at) FROM stdin;
acme	users	1	once	\\x6990434669b76b6a865522b63e71d7ac6b22ab1f4042292484209019381bcb38	2	2026-11-28 22:03:49.790491+00
default	users	1	once	\\xc9dbdb77176a2b2fdd322278961d2b18e06228093491b2514607c9cee8508a22	34	2026-11-28 22:04:19.413869+00
\.


--
-- Data for Name: shared_keys; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.shared_keys (name, secret) FROM stdin;
upload tokens	\\xb1ede4fbdb6ee96dbb40486e7316d26154c835362b35d2c399412b1c72fb5288
\.


--
-- Data for Name: storage; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.storage (only_one, identity) FROM stdin;
1	bucket upgrade-fixture
\.


--
-- Data for Name: ticket_files; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.ticket_files (tenant, ticket_id, file_id, added_at, added_by_id, added_by_kind) FROM stdin;
default	5	1	2026-11-28 22:04:18.974858+00	1	users
default	5	3	2026-11-28 22:04:18.974858+00	1	users
default	5	4	2026-11-28 22:04:18.974858+00	1	users
default	5	21	2026-11-28 22:04:18.974858+00	1	users
acme	5	2	2026-11-28 22:04:19.032319+00	1	users
default	6	1	2026-11-28 22:04:19.060024+00	1	users
\.


--
-- Data for Name: tokens; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.tokens (id, lookup, secret_sha256, tenant, actor_id, actor_kind, scopes, created_at, revoked_at, file_types, expires_at) FROM stdin;
1	f888537dd15cb017	\\xb49ef30037026f020ddd73cef5e86a4ab18e4f5a77880f1d915efee6b5a40159	default	1	users	files:read,files:write,files:delete	2026-11-28 22:03:45.60919+00	\N	\N	\N
2	f6894570566cd4fb	\\x48f656761110450db2e6f92862c366cef25025b6ff0912a2b72eb4415d0df7e6	acme	1	users	files:read,files:write,files:delete	2026-11-28 22:03:46.353268+00	\N	\N	\N
3	06f7d2dbbf834f9e	\\xfa46d48dbe087b84ed3f7bec53b84e00261ec21b54e21bf1ea7becd530ddccf9	default	2	users	files:read	2026-11-28 22:03:46.70766+00	\N	\N	\N
4	93caf4efc7586276	\\x6849b2d6beb23b0de7065063775b72fbd580be8800376efe0fb59d399c698ba0	default	3	users	files:read,files:write	2026-11-28 22:03:47.033191+00	\N	image	\N
5	bcf4ea235d67a434	\\x931329e5697f913515945dd56b45cd7f174e4061f24f3cf196162deecf0c7f85	default	7	customers	files:read,files:write,files:delete	2026-11-28 22:03:47.1853+00	\N	\N	\N
6	d58a938e66d76bcf	\\xf2cce9b3343e1905853f3174e958a4a6f7fd2856269498a2cdf946e5aabd783d	acme	7	customers	files:read,files:write,files:delete	2026-11-28 22:03:47.320592+00	\N	\N	\N
7	305eae02352e6173	\\x85675dd802cf611a32c14414f82cb8b1e78c294583fe94df7c43a3be7f937638	default	4	users	files:read,files:write,files:delete	2026-11-28 22:03:47.6333+00	\N	\N	2026-11-29 22:03:47.6333+00
8	1623b2cbf97a54ad	\\xb51135bbd70052720893d98ce1595832b496530dbda95b267c2bf24ab5443de6	default	5	users	files:read,files:write,files:delete	2026-11-28 22:03:48.029707+00	2026-11-28 22:03:48.193092+00	\N	\N
9	3c38565c4b326239	\\xbcf7e2a145066d94d323da4709752caf4666723876e390902583e50cd6c65c47	acme	8	customers	files:read,files:write,files:delete	2026-11-28 22:03:48.255819+00	2026-11-28 22:03:48.446754+00	\N	\N
\.


--
-- Name: audit_log_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.audit_log_id_seq', 58, true);


--
-- Name: events_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.events_id_seq', 49, true);


--
-- Name: files_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.files_id_seq', 43, true);


--
-- Name: tokens_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.tokens_id_seq', 9, true);


--
-- Name: _sqlx_migrations _sqlx_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);


--
-- Name: audit_log audit_log_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);


--
-- Name: doomed_objects doomed_objects_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.doomed_objects
    ADD CONSTRAINT doomed_objects_pkey PRIMARY KEY (key);


--
-- Name: events events_event_id_endpoint_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_event_id_endpoint_key UNIQUE (event_id, endpoint);


--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);


--
-- Name: files files_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.files
    ADD CONSTRAINT files_pkey PRIMARY KEY (id);


--
-- Name: gone_endpoints gone_endpoints_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.gone_endpoints
    ADD CONSTRAINT gone_endpoints_pkey PRIMARY KEY (name);


--
-- Name: idempotency_keys idempotency_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant, actor_kind, actor_id, key);


--
-- Name: shared_keys shared_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.shared_keys
    ADD CONSTRAINT shared_keys_pkey PRIMARY KEY (name);


--
-- Name: storage storage_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.storage
    ADD CONSTRAINT storage_pkey PRIMARY KEY (only_one);


--
-- Name: ticket_files ticket_files_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ticket_files
    ADD CONSTRAINT ticket_files_pkey PRIMARY KEY (tenant, ticket_id, file_id);


--
-- Name: tokens tokens_lookup_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_lookup_key UNIQUE (lookup);


--
-- Name: tokens tokens_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (id);


--
-- Name: audit_log_file; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_log_file ON public.audit_log USING btree (file_id, ((- id))) WHERE (file_id IS NOT NULL);


--
-- Name: audit_log_tenant; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_log_tenant ON public.audit_log USING btree (tenant, ((- id)));


--
-- Name: doomed_objects_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX doomed_objects_due ON public.doomed_objects USING btree (delete_after);


--
-- Name: events_by_file; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_by_file ON public.events USING btree (file_id, ((- id)));


--
-- Name: events_by_state; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_by_state ON public.events USING btree (state, ((- id)));


--
-- Name: events_created; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_created ON public.events USING btree (created_at, id);


--
-- Name: events_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_due ON public.events USING btree (endpoint, next_attempt_at, id) WHERE (state = 'pending'::text);


--
-- Name: events_finished; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_finished ON public.events USING btree (finished_at) WHERE (state <> 'pending'::text);


--
-- Name: events_overdue; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX events_overdue ON public.events USING btree (next_attempt_at) WHERE (state = 'pending'::text);


--
-- Name: files_active; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX files_active ON public.files USING btree (tenant, ((- id))) WHERE (state = 'active'::text);


--
-- Name: files_active_created; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX files_active_created ON public.files USING btree (tenant, created_at, id) WHERE (state = 'active'::text);


--
-- Name: files_active_customer; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX files_active_customer ON public.files USING btree (tenant, created_by_id, ((- id))) WHERE ((state = 'active'::text) AND (created_by_kind = 'customers'::text));


--
-- Name: files_active_customer_created; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX files_active_customer_created ON public.files USING btree (tenant, created_by_id, created_at, id) WHERE ((state = 'active'::text) AND (created_by_kind = 'customers'::text));


--
-- Name: files_deleted; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX files_deleted ON public.files USING btree (tenant, ((- id))) WHERE (state = 'deleted'::text);


--
-- Name: files_expiring; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX files_expiring ON public.files USING btree (expires_at, id) INCLUDE (tenant, created_by_kind, created_by_id, max_size) WHERE (state = 'temp'::text);


--
-- Name: files_purgeable; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX files_purgeable ON public.files USING btree (deleted_at, id) WHERE (state = 'deleted'::text);


--
-- Name: files_sealed; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX files_sealed ON public.files USING btree (sealed_key) WHERE (sealed_key IS NOT NULL);


--
-- Name: files_staging; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX files_staging ON public.files USING btree (staging_key);


--
-- Name: idempotency_keys_file; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idempotency_keys_file ON public.idempotency_keys USING btree (file_id);


--
-- Name: idempotency_keys_made; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idempotency_keys_made ON public.idempotency_keys USING btree (created_at);


--
-- Name: ticket_files_file; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ticket_files_file ON public.ticket_files USING btree (file_id);


--
-- Name: audit_log audit_log_keeps_all; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_log_keeps_all BEFORE TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION public.audit_log_is_append_only();


--
-- Name: audit_log audit_log_keeps_rows; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER audit_log_keeps_rows BEFORE DELETE OR UPDATE ON public.audit_log FOR EACH ROW EXECUTE FUNCTION public.audit_log_is_append_only();


--
-- Name: idempotency_keys idempotency_keys_file_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_file_id_fkey FOREIGN KEY (file_id) REFERENCES public.files(id) ON DELETE CASCADE;


--
-- Name: ticket_files ticket_files_file_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ticket_files
    ADD CONSTRAINT ticket_files_file_id_fkey FOREIGN KEY (file_id) REFERENCES public.files(id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--


