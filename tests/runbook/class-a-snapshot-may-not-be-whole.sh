#!/usr/bin/env bash
# A stored pack is damaged, and the steps of its class are followed.
. "$(dirname "$0")/lib.sh"
begin
for pack in "$VAULT"/objects/pack/*.pack; do damage "$pack"; done
keep vault "$VAULT"; keep source "$SOURCE"
refused_with GV-3001 git vault verify "$SNAP"
gives GV-3001 "3:verify --deep"
gives GV-3001 "5:verify --deep" # the same again: it is not the machine
follow "A snapshot may not be whole"
safe "the vault and its copy are as they were; new work is in a new vault; what the program said is kept"
evidence_kept; unchanged source "$SOURCE"
[ "$(grep -c '^REFUSED  SEV-1  GV-3001 ' "$HOME/vault-evidence.txt")" = 2 ]
safe_in_new_vault
finish
