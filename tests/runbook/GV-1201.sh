#!/usr/bin/env bash
# The key is not on this machine: a new machine with the old vault.
. "$(dirname "$0")/lib.sh"
begin
KIT=$HOME/kit.txt COPY=$TOP/disk/copy.key
git vault key export "$KIT" && cp "$(key_file)" "$COPY"
(umask 077 && echo "correct horse battery staple" >"$HOME/passphrase") && git vault key escrow --passphrase-file "$HOME/passphrase"
keep vault "$VAULT"; keep source "$SOURCE"
lose() { rm -rf "$HOME/.config/git-vault/keys"; }

lose
refused git vault list
put KIT "$KIT"
skip "key import --escrow" "there is a kit"
skip "ls VAULT/escrow" "there is a kit"
skip "4:ls -l" "there is a kit"
skip "4:git vault --vault VAULT key import KIT" "there is a kit"
skip "5:git vault --vault VAULT verify" "there is a kit"
skip "6:cp -a" "there is a kit"
skip "6:less" "there is a kit"
skip "7:git vault" "the key is back"
follow
restores "$VAULT" "$SNAP"

note "no kit, but a copy of the key file; and wrapped keys"
lose
refused git vault list
put KIT "$COPY"
skip "2:git vault --vault VAULT key import KIT" "there is no kit"
gives GV-1006 "key import --escrow" # the drill has no terminal to type on
skip "5:git vault --vault VAULT verify" "there is a copy"
skip "6:cp -a" "there is a copy"
skip "6:less" "there is a copy"
skip "7:git vault" "the key is back"
gives 2 "4:ls -l"
follow
lose
git vault --vault "$VAULT" key import --escrow --passphrase-file "$HOME/passphrase"
restores "$VAULT" "$SNAP"
unchanged vault "$VAULT"

note "no copy anywhere"
lose
refused git vault list
put KIT "$HOME/new-kit.txt"
skip "2:git vault" "there is no kit"
skip "3:git vault" "nobody knows the passphrase"
gives 2 "4:ls -l"
skip "4:git vault" "there is no copy"
gives GV-1201 "5:git vault" # intact, and unproven
follow
safe "with a copy of the key everything restores; without one, plain git reads the copy, and new work is sealed with a kit"
unchanged vault "$VAULT"; unchanged vault "$TOP/disk/vault-copy"; unchanged source "$SOURCE"
git -C "$TOP/disk/vault-copy" fsck --full --strict >"$TOP/stdout" 2>&1 || { show "$TOP/stdout"; fail "plain git"; }
safe_in_new_vault
finish
