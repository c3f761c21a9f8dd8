#!/usr/bin/env bash
# There is no git repository here; later, the repository is gone and only its vault is left.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"
cd "$HOME"
refused git vault list
put /path/to/repository "$SOURCE"
follow
cd "$TOP" && rm -rf "$SOURCE"
put /path/to/repository "$SOURCE"
gives GV-1001 "-C /path/to/repository"
follow
safe "the snapshots are found by the vault's path alone"
unchanged vault "$VAULT"
restores "$VAULT" "$SNAP"
finish
