-- Double entry in PostgreSQL, as a function: a transfer by its key, two entries, and balances that stay above zero.

CREATE TABLE account (
    id bigint PRIMARY KEY,
    balance bigint NOT NULL CHECK (balance >= 0)
);

CREATE TABLE transfer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key uuid NOT NULL UNIQUE,
    payer bigint NOT NULL,
    payee bigint NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0)
);

CREATE TABLE entry (
    transfer bigint NOT NULL,
    account bigint NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (transfer, account)
);

CREATE FUNCTION pay(wanted uuid, from_account bigint, to_account bigint, units bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    INSERT INTO transfer (key, payer, payee, amount) VALUES (wanted, from_account, to_account, units)
    ON CONFLICT (key) DO NOTHING RETURNING id INTO made;
    IF made IS NULL THEN
        SELECT id INTO made FROM transfer WHERE key = wanted;
        RETURN made;
    END IF;
    -- Rows are locked in one order everywhere, so that two transfers cannot wait for each other.
    PERFORM 1 FROM account WHERE id IN (from_account, to_account) ORDER BY id FOR UPDATE;
    UPDATE account SET balance = balance - units WHERE id = from_account;
    UPDATE account SET balance = balance + units WHERE id = to_account;
    INSERT INTO entry VALUES (made, from_account, -units), (made, to_account, units);
    RETURN made;
END
$$;
