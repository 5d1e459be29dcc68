DROP TABLE installation_secrets;
DROP TABLE signing_keys;
