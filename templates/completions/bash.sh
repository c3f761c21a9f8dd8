# Completions of git-vault for bash: `git vault <TAB>` where git's own completions are read, and `git-vault <TAB>`.
__git_vault_complete() {
  local text about
  COMPREPLY=()
  [ -x @PROGRAM@ ] || return 0
  while IFS=$'\t' read -r text about; do
    case $text in
      :files) return 0 ;;
      */ | *: | *=) COMPREPLY+=("$text") ;;
      *) COMPREPLY+=("$text ") ;;
    esac
  done < <(@PROGRAM@ complete line -- "${COMP_LINE:0:COMP_POINT}" "${COMP_WORDBREAKS-}" 2>/dev/null)
}
_git_vault() {
  __git_vault_complete
}
complete -o bashdefault -o default -o nospace -F __git_vault_complete git-vault
