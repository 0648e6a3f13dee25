# fish completion of mcp-tunnel-setup

# Whether the command line begins with one of the commands, such as 'init' or 'token rotate'.
function __mcp_tunnel_setup_is
    set -l given (commandline -opc)[2..-1]
    contains -- "$given[1]" $argv; or contains -- "$given[1] $given[2]" $argv
end

function __mcp_tunnel_setup_flag
    # Name, description, commands; what else `complete` shall know comes before.
    set -l condition "__mcp_tunnel_setup_is '"(string join "' '" $argv[3..-1])"'"
    complete -c mcp-tunnel-setup -n $condition -l $argv[1] -d $argv[2] $options
end

complete -c mcp-tunnel-setup -f
for command in init renew-cert generate-certs verify rotate-ca tunnels certs token
    complete -c mcp-tunnel-setup -n __fish_use_subcommand -a $command
end
complete -c mcp-tunnel-setup -n __fish_use_subcommand -l version -d 'print the versions'
complete -c mcp-tunnel-setup -l help -d 'print the usage'
complete -c mcp-tunnel-setup -n '__mcp_tunnel_setup_is tunnels; and test (count (commandline -opc)) = 2' -a 'list get create archive'
complete -c mcp-tunnel-setup -n '__mcp_tunnel_setup_is certs; and test (count (commandline -opc)) = 2' -a 'list add revoke'
complete -c mcp-tunnel-setup -n '__mcp_tunnel_setup_is token; and test (count (commandline -opc)) = 2' -a 'reveal rotate'
complete -c mcp-tunnel-setup -n '__mcp_tunnel_setup_is "certs add"' -F

set -l of_one_tunnel 'tunnels get' 'certs list' 'certs add' 'certs revoke' 'token reveal' 'token rotate'
set -l with_api init rotate-ca verify 'tunnels list' 'tunnels create' 'tunnels archive' $of_one_tunnel
set -l with_certificates init renew-cert generate-certs rotate-ca

set -g options
__mcp_tunnel_setup_flag json 'print the result as JSON' renew-cert generate-certs $with_api
__mcp_tunnel_setup_flag refresh-token 'fetch the tunnel token in force' init
__mcp_tunnel_setup_flag drop-old-ca 'remove the CA that was kept of another tunnel' init
__mcp_tunnel_setup_flag api 'compare with the API too' verify
__mcp_tunnel_setup_flag dry-run 'print what would be done' init
__mcp_tunnel_setup_flag finish 'revoke the old CA' rotate-ca
__mcp_tunnel_setup_flag archived 'archived or revoked ones too' 'tunnels list' 'certs list'
__mcp_tunnel_setup_flag archived-only 'archived or revoked ones only' 'tunnels list' 'certs list'
__mcp_tunnel_setup_flag force 'also the CA in use' 'certs revoke'
__mcp_tunnel_setup_flag yes 'do not ask' 'tunnels archive' 'certs revoke' 'token rotate'
set options -x
__mcp_tunnel_setup_flag tunnel-id 'the tunnel' init $of_one_tunnel
__mcp_tunnel_setup_flag display-name 'name of a tunnel that is created' init 'tunnels create'
__mcp_tunnel_setup_flag token-version 'another one rotates the token' init
__mcp_tunnel_setup_flag cert-duration 'validity of the server certificate' $with_certificates
__mcp_tunnel_setup_flag renew-before 'do nothing while more than this remains' renew-cert
__mcp_tunnel_setup_flag expires-within 'a certificate that ends within this time is a finding' verify
__mcp_tunnel_setup_flag tunnel-domain 'domain of the tunnel' generate-certs verify
__mcp_tunnel_setup_flag workspace 'tunnels of one workspace only' 'tunnels list'
__mcp_tunnel_setup_flag reason 'for the audit trail' 'token rotate'
set options -x -a 'https://api.anthropic.com'
__mcp_tunnel_setup_flag api-url 'base URL of the API' $with_api
set options -x -a '1 2'
__mcp_tunnel_setup_flag api-generation 'generation of the API' $with_api
set options -x -a 'rsa-2048 rsa-3072 rsa-4096 ecdsa-p256 ecdsa-p384'
__mcp_tunnel_setup_flag key-type 'type of the new key' $with_certificates
set options -x -a 'dir:(__fish_complete_directories (string replace -r "^.*?dir:" "" (commandline -ct))) k8s-secret:'
__mcp_tunnel_setup_flag output 'where the values are kept' renew-cert generate-certs verify init rotate-ca $of_one_tunnel
set options -x -a '(__fish_complete_users)'
__mcp_tunnel_setup_flag output-owner 'whose folder it is' renew-cert generate-certs verify init rotate-ca $of_one_tunnel
set options -rF
__mcp_tunnel_setup_flag ca 'certificate of the CA' verify
__mcp_tunnel_setup_flag cert 'certificate of the server' verify
__mcp_tunnel_setup_flag key 'private key of the server' verify
set -e options
functions -e __mcp_tunnel_setup_flag
