#!/usr/bin/env bash
# A snapshot that must stay was to be dropped.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault drop --unattended "$SNAP"
unchanged vault "$VAULT"; unchanged source "$SOURCE"
follow
safe "the snapshot is there"
restores "$VAULT" "$SNAP"
finish
