#!/usr/bin/env bash
# The repository has an extension that nobody knows here.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"
git config core.repositoryformatversion 1; git config extensions.frobnicate true
keep source "$SOURCE"
refused git vault snapshot
follow
safe "the workspace is copied by other means; vault and source are as they were"
unchanged vault "$VAULT"; unchanged source "$SOURCE"; unchanged source "$TOP/disk/workspace-copy"
restores "$VAULT" "$SNAP"
finish
