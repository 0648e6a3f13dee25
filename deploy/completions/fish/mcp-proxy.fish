# fish completion of mcp-proxy

complete -c mcp-proxy -f
complete -c mcp-proxy -n __fish_use_subcommand -a check -d 'check configuration, certificate and MCP servers'
complete -c mcp-proxy -n __fish_use_subcommand -a healthcheck -d 'open a tunnel to a running proxy'
complete -c mcp-proxy -n __fish_use_subcommand -a reload -d 'have a running proxy read its configuration again'
complete -c mcp-proxy -n __fish_use_subcommand -a demo -d 'run the whole path once on this machine'
complete -c mcp-proxy -n __fish_use_subcommand -a hello -d 'serve a sample MCP server'
complete -c mcp-proxy -n 'not __fish_seen_subcommand_from demo hello' -o config -rF -d 'configuration file'
complete -c mcp-proxy -n 'not __fish_seen_subcommand_from reload demo hello' -o tunnel-domain -x -d 'domain of the tunnel'
complete -c mcp-proxy -n __fish_use_subcommand -o debuggable -d 'let debuggers and core files see secrets'
complete -c mcp-proxy -n __fish_use_subcommand -o version -d 'print the versions'
complete -c mcp-proxy -o help -d 'print the usage'
complete -c mcp-proxy -n '__fish_seen_subcommand_from check' -o ca -rF -d 'the CA of the tunnel'
complete -c mcp-proxy -n '__fish_seen_subcommand_from check' -o path -x -a '/mcp /' -d 'where the MCP servers are'
complete -c mcp-proxy -n '__fish_seen_subcommand_from check' -o timeout -x -d 'for each step'
complete -c mcp-proxy -n '__fish_seen_subcommand_from check' -o edge -d 'look at the edge too'
complete -c mcp-proxy -n '__fish_seen_subcommand_from check' -o explain -x -d 'tell how one URL is routed'
complete -c mcp-proxy -n '__fish_seen_subcommand_from check' -o json -d 'print JSON'
complete -c mcp-proxy -n '__fish_seen_subcommand_from healthcheck' -o addr -x -d 'where the proxy listens'
complete -c mcp-proxy -n '__fish_seen_subcommand_from healthcheck' -o listener-only -d 'do not look at the certificate'
complete -c mcp-proxy -n '__fish_seen_subcommand_from hello' -o listen -x -d 'where to listen'
complete -c mcp-proxy -n '__fish_seen_subcommand_from demo' -o data -x -a '(__fish_complete_directories)' \
    -d 'folder of setup'
