#!/usr/bin/env bash
# The destination of a restore holds something.
. "$(dirname "$0")/lib.sh"
begin
mkdir "$DIR" && echo mine >"$DIR/mine.txt"
keep destination "$DIR"; keep vault "$VAULT"; keep source "$SOURCE"
refused git vault restore "$SNAP" "$DIR"
follow
safe "what was there is untouched, and the snapshot is restored beside it"
unchanged destination "$DIR"; unchanged vault "$VAULT"; unchanged source "$SOURCE"
restored "$DIR-restored"
finish
