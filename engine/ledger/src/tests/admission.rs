//! Keys that admit members, and the last unrestricted admin key.

use expect_test::expect;

use super::script::check;

/// A key that admits accounts opens new accounts of its pattern, and changes nothing else.
#[test]
fn a_key_that_admits_members_can_only_open_new_accounts() {
    check(
        "asset coin
         account user:1 admits=user:*
         account user:1 admits=user:*
         account user:1 admits=user:* status=open
         account user:2 admits=user:* status=open
         account user:3 admits=user:* metadata={}
         account user:3 admits=user:* metadata=null
         account user:4 admits=user:* admits_metadata=true metadata={}
         account user:4 admits=user:* admits_metadata=true metadata={}
         account user:4 admits=user:*
         account user:4 admits=user:* admits_metadata=true metadata=[]
         account user:4 admits=user:* metadata=null
         account user:5 admits=user:* credit_limit=coin/1
         account user:5 admits=user:* credit_limit=null
         account user:5 admits=user:* ceiling=coin/1
         account user:5 admits=user:* ceiling=coin/null
         account user:5 admits=user:* status=frozen
         account user:1 admits=user:* credit_limit=coin/0
         account user:1 admits=user:* credit_limit=coin/1
         account user:1 admits=user:* ceiling=coin/1
         account user:1 admits=user:* status=closed
         account user:1 ceiling=coin/5
         account user:1 admits=user:* ceiling=coin/5
         account user:1 admits=user:* ceiling=null
         account team:1 admits=user:*
         account user:1 admits=team:*
         account plugin:shop admits=user:*
         account user:1:savings admits=user:*
         quota accounts=7
         account user:6 admits=user:*
         account user:7 admits=user:*",
        &expect![[r#"
            account user:1 admits=user:*: unchanged
            account user:1 admits=user:* status=open: unchanged
            account user:3 admits=user:* metadata={}: this key may only create accounts that match `user:*`, and not set `user:3` like this: metadata needs `"metadata": true` in the key's `admits`, or the scope `transfer`
            account user:4 admits=user:* admits_metadata=true metadata={}: unchanged
            account user:4 admits=user:*: unchanged
            account user:4 admits=user:* admits_metadata=true metadata=[]: this key may only create accounts that match `user:*`, and not set `user:4` like this: changing an account needs the scope `transfer`, and `admin` for limits
            account user:4 admits=user:* metadata=null: this key may only create accounts that match `user:*`, and not set `user:4` like this: changing an account needs the scope `transfer`, and `admin` for limits
            account user:5 admits=user:* credit_limit=coin/1: this key may only create accounts that match `user:*`, and not set `user:5` like this: limits and a status need the scope `admin`
            account user:5 admits=user:* credit_limit=null: this key may only create accounts that match `user:*`, and not set `user:5` like this: limits and a status need the scope `admin`
            account user:5 admits=user:* ceiling=coin/1: this key may only create accounts that match `user:*`, and not set `user:5` like this: limits and a status need the scope `admin`
            account user:5 admits=user:* ceiling=coin/null: this key may only create accounts that match `user:*`, and not set `user:5` like this: limits and a status need the scope `admin`
            account user:5 admits=user:* status=frozen: this key may only create accounts that match `user:*`, and not set `user:5` like this: limits and a status need the scope `admin`
            account user:1 admits=user:* credit_limit=coin/0: unchanged
            account user:1 admits=user:* credit_limit=coin/1: this key may only create accounts that match `user:*`, and not set `user:1` like this: changing an account needs the scope `transfer`, and `admin` for limits
            account user:1 admits=user:* ceiling=coin/1: this key may only create accounts that match `user:*`, and not set `user:1` like this: changing an account needs the scope `transfer`, and `admin` for limits
            account user:1 admits=user:* status=closed: this key may only create accounts that match `user:*`, and not set `user:1` like this: changing an account needs the scope `transfer`, and `admin` for limits
            account user:1 ceiling=coin/5: changed
            account user:1 admits=user:* ceiling=coin/5: unchanged
            account user:1 admits=user:* ceiling=null: this key may only create accounts that match `user:*`, and not set `user:1` like this: changing an account needs the scope `transfer`, and `admin` for limits
            account team:1 admits=user:*: this key may only create accounts that match `user:*`, and not set `team:1` like this: other accounts need the scope `transfer`
            account user:1 admits=team:*: this key may only create accounts that match `team:*`, and not set `user:1` like this: other accounts need the scope `transfer`
            account plugin:shop admits=user:*: `plugin:shop` is created by the server, with the asset or the plugin
            quota accounts=7: changed
            account user:7 admits=user:*: the economy has 7 accounts of at most 7, and this needs more: free some, or ask the operator to raise the quota `accounts`
        "#]],
    );
}

/// The last unrestricted admin key cannot be revoked, bound to economies or narrowed without force.
#[test]
fn the_last_admin_key_becomes_less_only_by_force() {
    check(
        "key boss scopes=admin
         key bound scopes=admin economies=guild
         key bot scopes=read
         key boss revoked=true
         key boss economies=guild
         key boss scopes=read
         key boss mode=rotate
         key boss
         key bot revoked=true
         key bound revoked=true
         key other scopes=admin
         key boss scopes=read
         key other revoked=true
         key boss scopes=admin
         key other revoked=true
         key boss revoked=true force=true
         key boss revoked=true
         key third scopes=read",
        &expect![[r#"
            key boss revoked=true: `boss` is the last admin key of every economy: create another one first, or set `"force": true`
            key boss economies=guild: `boss` is the last admin key of every economy: create another one first, or set `"force": true`
            key boss scopes=read: `boss` is the last admin key of every economy: create another one first, or set `"force": true`
            key boss mode=rotate: changed
            key boss: unchanged
            key bot revoked=true: changed
            key bound revoked=true: changed
            key boss scopes=read: changed
            key other revoked=true: `other` is the last admin key of every economy: create another one first, or set `"force": true`
            key boss scopes=admin: changed
            key other revoked=true: changed
            key boss revoked=true force=true: changed
            key boss revoked=true: unchanged
        "#]],
    );
}
