#compdef git-vault
#description snapshots of the work that git does not keep
# Completions of git-vault for zsh: a file `_git-vault` in a directory of $fpath, or read by .zshrc after compinit.
_git-vault() {
  local line text about want_files
  local -a spaced tight spaced_shown tight_shown
  [[ -x @PROGRAM@ ]] || return 1
  for line in "${(@f)$(@PROGRAM@ complete words -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
    text=${line%%$'\t'*}
    about=${line#*$'\t'}
    case $text in
      '') ;;
      :files) want_files=1 ;;
      */ | *: | *=) tight+=("$text") tight_shown+=("$text${about:+  ($about)}") ;;
      *) spaced+=("$text") spaced_shown+=("$text${about:+  ($about)}") ;;
    esac
  done
  if [[ -n $want_files ]]; then
    _files
    return
  fi
  (( $#tight + $#spaced )) || return 1
  (( $#tight )) && compadd -l -S '' -d tight_shown -a tight
  (( $#spaced )) && compadd -l -d spaced_shown -a spaced
  return 0
}
if [[ $funcstack[1] == _git-vault ]]; then
  _git-vault "$@"
elif (( $+functions[compdef] )); then
  compdef _git-vault git-vault
fi
