#!/usr/bin/env bash
# The destination holds something, and the steps of its class are followed.
. "$(dirname "$0")/lib.sh"
begin
mkdir "$DIR" && echo mine >"$DIR/mine.txt"
keep destination "$DIR"; keep vault "$VAULT"; keep source "$SOURCE"
refused_with GV-2101 git vault restore "$SNAP" "$DIR"
gives 2 "ls -d DIR-restored" # it does not exist, as it should
follow "A restore could hurt something"
safe "what was there is untouched, and the snapshot is restored beside it"
unchanged destination "$DIR"; unchanged vault "$VAULT"; unchanged source "$SOURCE"
restored "$DIR-restored"
finish
