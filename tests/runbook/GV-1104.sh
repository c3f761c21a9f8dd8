#!/usr/bin/env bash
# A snapshot holds no such path.
. "$(dirname "$0")/lib.sh"
begin
keep vault "$VAULT"; keep source "$SOURCE"
refused git vault cat @latest:notes.text
put PART notes; put PATH notes.txt
gives 1 "git check-ignore"
follow
safe "the file is found under its own name; nothing was touched"
unchanged vault "$VAULT"; unchanged source "$SOURCE"
restores "$VAULT" "$SNAP"
finish
