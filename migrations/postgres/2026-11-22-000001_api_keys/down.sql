DROP TABLE api_key_digests;
DROP TABLE api_keys;
