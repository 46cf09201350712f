-- What each enterprise lets everybody see of it by IIIDAP (registry/disclosure.py); without a row the defaults hold.
CREATE TABLE disclosure (
    enterprise_no integer PRIMARY KEY REFERENCES enterprise,
    chosen        jsonb   NOT NULL
);
CREATE INDEX prefix_of_enterprise ON prefix (enterprise_no);
