#!/usr/bin/env bash
# A drill finds that git finds fault with what was restored on one disk.
. "$(dirname "$0")/lib.sh"
begin
REAL=$(command -v git) # the fault is that of the machine: what git reads below TMPDIR
printf '#!/bin/sh\ncase "$* $PWD $GIT_DIR" in *%s*) case "$*" in *fsck*) echo "missing blob"; exit 2 ;; esac ;; esac\nexec "%s" "$@"\n' "$TMPDIR" "$REAL" >"$TOP/bin/git"
chmod +x "$TOP/bin/git"
keep vault "$VAULT"; keep source "$SOURCE"
refused git-vault drill "$SNAP"
COPY=$(under STATE) && keep copy "$COPY"
gives GV-3401 "6:git-vault --vault VAULT drill" # this machine has the fault
unchanged vault "$VAULT"
follow
safe "the vault, and the copy that differs, are as they were; elsewhere the drill passes; new work is in a new vault"
evidence_kept; unchanged copy "$COPY"; unchanged copy "$TOP/disk/drill-evidence"; unchanged source "$SOURCE"
rm "$TOP/bin/git"
restores "$VAULT" "$SNAP"
safe_in_new_vault
finish
