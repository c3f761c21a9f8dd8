#!/usr/bin/env bash
# The key file can be read by others, or is a link.
. "$(dirname "$0")/lib.sh"
begin
seal THIRD
keep vault "$VAULT"; keep source "$SOURCE"
FILE=$(key_file) && cp -a "$FILE" "$HOME/copy.key"
put /path/to/the.key "$FILE"; put /path/to/the/directory/of/the/key "$(dirname "$FILE")"
put /path/to/your/copy "$HOME/copy.key"

mv "$FILE" "$HOME/elsewhere.key" && ln -s "$HOME/elsewhere.key" "$FILE"
refused git vault list
unchanged vault "$VAULT"
skip "2:chmod" "it is a link"
skip "5:" "a link on this machine shows the key to nobody"; skip "6:" "the same key goes on"
follow

note "open to others"
unset "VALUE[/path/under/WHAT]"
chmod 644 "$FILE"
refused git vault restore "$SNAP" "$DIR"
put KEY "$(basename "$FILE" .key)"; put NUMBER 4
skip "3:" "it is an ordinary file"
follow
safe "a new key signs; what the old one signed before the stated entry restores, and what it signed later does not"
unchanged source "$SOURCE"
restores "$VAULT" "$SNAP"
refused_with GV-3105 git vault --vault "$VAULT" restore "$THIRD" "$DIR"
safe_in_new_vault
finish
