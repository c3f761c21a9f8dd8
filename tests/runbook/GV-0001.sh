#!/usr/bin/env bash
# The system gives no random bytes: something the program should have made impossible.
. "$(dirname "$0")/lib.sh"
need strace
begin "without snapshots"
keep source "$SOURCE"
refused strace -qq -o /dev/null -e inject=getrandom:error=EIO:when=5+ git-vault snapshot
follow
safe "nothing was sealed by that run; the next one seals, and the source is untouched"
unchanged source "$SOURCE"
restores "$(newest_vault)" @latest "$SOURCE"
finish
