#!/usr/bin/env bash
# The key file is damaged.
. "$(dirname "$0")/lib.sh"
begin
KIT=$HOME/kit.txt && git vault key export "$KIT"
FILE=$(key_file) && cp -a "$FILE" "$HOME/copy.key"
keep vault "$VAULT"; keep source "$SOURCE"
damage "$FILE"
refused git vault list
unchanged vault "$VAULT"
put /path/to/the.key "$FILE"; put /path/to/your/copy "$HOME/copy.key"
follow

note "no other copy of the key file, but a kit"
damage "$FILE"
refused git vault list
put KIT "$KIT"
skip "3:cp" "there is none"
skip "3:chmod" "there is none"
by_hand "No other copy? Go on as in GV-1201, step 2." "git vault --vault '$VAULT' key import '$KIT'"
gives GV-1201 "4:git vault verify" # the damaged one is out of the way
follow
safe "the key is back, the damaged one is kept, and every snapshot restores"
restores "$VAULT" "$SNAP"
cmp "$HOME/key-evidence" "$FILE.evidence"
finish
