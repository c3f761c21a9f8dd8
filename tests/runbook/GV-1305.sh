#!/usr/bin/env bash
# The vault was not healthy three times, over more than ten minutes.
. "$(dirname "$0")/lib.sh"
begin
chmod 755 "$VAULT"
for _ in 1 2; do refused_with GV-1303 git vault snapshot -m "today"; done
sed -i 's/^first_failed = .*/first_failed = "2024-01-02T03:04:05Z"/' "$HOME"/.local/state/git-vault/health/*.toml
keep vault "$VAULT"
refused git vault snapshot -m "today"
put /another/disk "$TOP/disk"
put GV-1301 GV-1303
gives 13 "git vault doctor"
gives GV-1305 "5:git vault snapshot"
follow
unchanged vault "$VAULT"; unchanged vault "$TOP/disk/vault-copy"
safe_in_new_vault

note "and when it can be mended"
git config --unset vault.home
refused git vault --vault "$VAULT" snapshot -m "today"
rm -rf "$TOP/disk/vault-copy"
by_hand "Follow the checklist for what failed now" "chmod 700 '$VAULT'"
gives 13 "git vault doctor"
skip "6:" "it was mended"
follow
safe "new work is sealed, in a new vault or in the mended one; the old snapshots restore"
restores "$VAULT" "$SNAP"; restores "$VAULT" @latest "$SOURCE"
finish
