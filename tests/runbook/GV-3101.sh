#!/usr/bin/env bash
# Somebody without the key changed a record, and its plain hash is right.
. "$(dirname "$0")/lib.sh"
begin
cp -a "$VAULT" "$TOP/work/copy.vault"
"$HERE/forge.pl" "$(newest_entry)" 's/kind = "snapshot"/kind = "Snapshot"/'
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "$SNAP" "$DIR"
put /path/to/copy "$TOP/work/copy.vault"
follow
safe "the forged vault and its copy are as they were; a copy that others could not write to restores; new work is in a new vault"
evidence_kept; unchanged source "$SOURCE"
restored "$DIR"
safe_in_new_vault
finish
