BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'digits');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MINIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE sweeper_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT sweeper_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "sweeper_alembic_version" VALUES('0001');
CREATE TABLE sweeper_artifacts (
	run_id INTEGER NOT NULL, 
	name VARCHAR(512) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	size BIGINT NOT NULL, 
	sha256 VARCHAR(64), 
	error TEXT, 
	time DOUBLE NOT NULL, 
	seq BIGINT NOT NULL, 
	PRIMARY KEY (run_id, name)
)
 WITHOUT ROWID

;
CREATE TABLE sweeper_code (
	code VARCHAR(64) NOT NULL, 
	"commit" VARCHAR(64), 
	branch TEXT, 
	remote TEXT, 
	is_dirty BOOLEAN, 
	document TEXT NOT NULL, 
	taken_at DOUBLE NOT NULL, 
	PRIMARY KEY (code)
);
CREATE TABLE sweeper_data (
	run_id INTEGER NOT NULL, 
	name VARCHAR(512) NOT NULL, 
	url TEXT NOT NULL, 
	files BIGINT NOT NULL, 
	size BIGINT NOT NULL, 
	sha256 VARCHAR(64), 
	manifest BOOLEAN NOT NULL, 
	error TEXT, 
	time DOUBLE NOT NULL, 
	seq BIGINT NOT NULL, 
	PRIMARY KEY (run_id, name)
)
 WITHOUT ROWID

;
CREATE TABLE sweeper_environments (
	environment VARCHAR(64) NOT NULL, 
	document TEXT NOT NULL, 
	captured_at DOUBLE NOT NULL, 
	PRIMARY KEY (environment)
);
CREATE TABLE sweeper_metrics (
	run_id INTEGER NOT NULL, 
	name VARCHAR(512) NOT NULL, 
	step BIGINT NOT NULL, 
	value DOUBLE, 
	time DOUBLE NOT NULL, 
	seq BIGINT NOT NULL, 
	PRIMARY KEY (run_id, name, step)
)
 WITHOUT ROWID

;
INSERT INTO "sweeper_metrics" VALUES(1,'acc',0,NULL,11.0,1);
INSERT INTO "sweeper_metrics" VALUES(1,'f1',1099511627776,1.0,15.0,5);
INSERT INTO "sweeper_metrics" VALUES(1,'loss',0,0.4,13.0,3);
INSERT INTO "sweeper_metrics" VALUES(1,'loss',1099511627776,0.3,14.0,4);
INSERT INTO "sweeper_metrics" VALUES(1,'system/gpu_utilization',4,0.5,14.5,0);
CREATE TABLE sweeper_requests (
	id INTEGER NOT NULL, 
	request VARCHAR(32) NOT NULL, 
	sweep VARCHAR(32) NOT NULL, 
	study VARCHAR(512) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	argument TEXT NOT NULL, 
	user VARCHAR(256) NOT NULL, 
	host VARCHAR(256) NOT NULL, 
	asked_at DOUBLE NOT NULL, 
	answered_at DOUBLE, 
	outcome VARCHAR(16), 
	answer TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (request)
);
CREATE TABLE sweeper_runs (
	id INTEGER NOT NULL, 
	run VARCHAR(32) NOT NULL, 
	sweep VARCHAR(32) NOT NULL, 
	study VARCHAR(512) NOT NULL, 
	number INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	failure VARCHAR(32), 
	error TEXT, 
	traceback TEXT, 
	config TEXT NOT NULL, 
	overrides TEXT NOT NULL, 
	seed BIGINT, 
	folder TEXT NOT NULL, 
	node VARCHAR(256), 
	pid INTEGER, 
	created_at DOUBLE NOT NULL, 
	started_at DOUBLE, 
	ended_at DOUBLE, 
	runtime_s DOUBLE, 
	peak_rss_bytes BIGINT, 
	peak_gpu_memory_bytes BIGINT, 
	gpu_memory_basis VARCHAR(16), 
	gpu_seconds DOUBLE, 
	energy_j DOUBLE, 
	ended_seq BIGINT, 
	environment VARCHAR(64), 
	code VARCHAR(64), 
	resources TEXT, 
	gpu_share DOUBLE, 
	gpus TEXT, 
	determinism TEXT, 
	determinism_at_end TEXT, 
	drift TEXT, 
	gaps TEXT, 
	completeness DOUBLE, 
	captured_seq BIGINT, 
	reproduces VARCHAR(32), 
	verdict TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (run)
);
INSERT INTO "sweeper_runs" VALUES(1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','ssssssssssssssssssssssssssssssss','digits',0,0,'COMPLETE',NULL,NULL,NULL,'{"lr": 0.1}','["lr=0.1"]',7,'/tmp/digits/0','node',99,1.79556997127719950675e+09,10.0,15.0,5.0,8589934592,1073741824,'processes',2.0,NULL,5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE sweeper_sweeps (
	id INTEGER NOT NULL, 
	sweep VARCHAR(32) NOT NULL, 
	study VARCHAR(512) NOT NULL, 
	command TEXT NOT NULL, 
	settings TEXT NOT NULL, 
	space TEXT NOT NULL, 
	sampler TEXT NOT NULL, 
	pruner TEXT NOT NULL, 
	user VARCHAR(256) NOT NULL, 
	host VARCHAR(256) NOT NULL, 
	pid INTEGER NOT NULL, 
	folder TEXT NOT NULL, 
	code VARCHAR(64), 
	root TEXT, 
	cwd TEXT, 
	artifacts TEXT, 
	defaults TEXT, 
	started_at DOUBLE NOT NULL, 
	ended_at DOUBLE, 
	outcome VARCHAR(32), 
	n_trials INTEGER, 
	process VARCHAR(128), 
	lease_until DOUBLE, 
	PRIMARY KEY (id), 
	UNIQUE (sweep)
);
INSERT INTO "sweeper_sweeps" VALUES(1,'ssssssssssssssssssssssssssssssss','digits','train.py -m','{}','{}','TPESampler','NopPruner','ada','node',0,'/tmp/digits',NULL,NULL,'/tmp',NULL,NULL,1.79556997105574488639e+09,NULL,NULL,100,'49760690-f16c-4f82-b882-2af8133261b3:4026531836:32324:1774736',17786.062026426);
CREATE TABLE sweeper_tags (
	study VARCHAR(512) NOT NULL, 
	number INTEGER NOT NULL, 
	tag VARCHAR(100) NOT NULL, 
	user VARCHAR(256) NOT NULL, 
	time DOUBLE NOT NULL, 
	PRIMARY KEY (study, number, tag)
)
 WITHOUT ROWID

;
CREATE TABLE sweeper_test_metrics (
	run_id INTEGER NOT NULL, 
	seq BIGINT NOT NULL, 
	name VARCHAR(512) NOT NULL, 
	step BIGINT, 
	value DOUBLE, 
	time DOUBLE NOT NULL, 
	PRIMARY KEY (run_id, seq, name)
)
 WITHOUT ROWID

;
CREATE TABLE sweeper_writers (
	writer VARCHAR(32) NOT NULL, 
	seq BIGINT NOT NULL, 
	written_at DOUBLE NOT NULL, 
	PRIMARY KEY (writer)
)
 WITHOUT ROWID

;
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,1,0.5,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'lr',4.65680463791956554368e-04,'{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,2,'fixed_params','{"lr": 0.01}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,0.3,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-25 01:26:11.260429','2026-11-25 01:26:11.289360');
INSERT INTO "trials" VALUES(2,1,1,'WAITING',NULL,NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE INDEX ix_sweeper_sweeps_study ON sweeper_sweeps (study);
CREATE INDEX ix_sweeper_requests_sweep ON sweeper_requests (sweep);
CREATE UNIQUE INDEX ix_sweeper_runs_trial ON sweeper_runs (study, number, attempt);
CREATE INDEX ix_sweeper_artifacts_sha256 ON sweeper_artifacts (sha256);
COMMIT;
