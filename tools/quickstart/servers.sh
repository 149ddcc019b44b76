# The peers of the story, all of them Debian's own programs, in the story's network: a certificate
# authority (openssl), a web server (nginx), a registry (docker-registry). Sourced by the story.

servers=()

make_authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj '/CN=Quickstart authority' -keyout ca.key -out ca.pem 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=example.com' \
    -keyout tls.key -out tls.csr 2>/dev/null
  openssl x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out tls.pem \
    -extfile <(echo 'subjectAltName=DNS:example.com') 2>/dev/null
}

start_nginx() {
  cat >nginx.conf <<END
user root;
worker_processes 1;
daemon off;
pid $work/nginx.pid;
error_log $work/nginx.log;
events { worker_connections 64; }
http {
  access_log $work/nginx.access;
  client_body_temp_path $work/nginx.tmp;
  proxy_temp_path $work/nginx.tmp;
  fastcgi_temp_path $work/nginx.tmp;
  uwsgi_temp_path $work/nginx.tmp;
  scgi_temp_path $work/nginx.tmp;
  types { text/html html; application/pgp-keys gpg; }
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:443 ssl;
    server_name example.com;
    ssl_certificate $work/tls.pem;
    ssl_certificate_key $work/tls.key;
    root $work/www;
    # Discovery asks for any path of a name; every page has the same tags.
    try_files \$uri /index.html;
    location /images/ { try_files \$uri =404; }
  }
}
END
  nginx -c "$work/nginx.conf" >nginx.out 2>&1 </dev/null &
  servers+=($!)
  until_true 10 curl -fsS --cacert ca.pem --resolve example.com:443:127.0.0.1 -o /dev/null \
    https://example.com/ || fail "nginx does not serve: $(cat nginx.out nginx.log)"
}

start_registry() {
  cat >registry.yml <<END
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: '127.0.0.1:5000'}
END
  docker-registry serve "$work/registry.yml" >registry.out 2>&1 </dev/null &
  servers+=($!)
  until_true 10 curl -fsS -o /dev/null http://127.0.0.1:5000/v2/ ||
    fail "the registry does not serve: $(cat registry.out)"
}

stop_servers() {
  local pid
  for pid in "${servers[@]}"; do end_process "$pid"; done
  servers=()
}
