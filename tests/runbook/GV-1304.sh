#!/usr/bin/env bash
# Writing to the vault fails midway, once.
. "$(dirname "$0")/lib.sh"
need strace
begin
echo "new work" >>notes.txt
keep source "$SOURCE"; keep sealed "$VAULT/log"
refused strace -f -qq -o /dev/null -P "$VAULT/log" -e inject=fsync:error=EIO:when=1 git-vault snapshot -m "today"
unchanged source "$SOURCE"
follow
safe "what was sealed before is untouched, and the next snapshot is sealed"
restores "$VAULT" "$SNAP"; restores "$VAULT" @latest "$SOURCE"
finish
