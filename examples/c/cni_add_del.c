/* cni_add_del: attach a network namespace to a CNI network, look at the result, detach it again.
 *
 *   cni_add_del NETWORK.conflist NETNS [PLUGIN_DIR]
 *   cni_add_del /etc/cni/net.d/10-web.conflist /run/netns/demo /usr/lib/cni
 *
 * Shows: options by key, a deadline, handles that free themselves, errors as data. */
#include <coaming/cni.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Tells what went wrong: the message, which plugin said it, and what to do next. */
static int fail(const coam_error *error) {
  coam_str plugin = coam_error_detail(error, "cni.plugin");
  fprintf(stderr, "%s: %s\n", coam_error_reason(error).data, coam_error_message(error).data);
  if (plugin.size > 0) fprintf(stderr, "plugin: %s\n", plugin.data);
  if (coam_error_hint(error).size > 0) fprintf(stderr, "hint: %s\n", coam_error_hint(error).data);
  return coam_error_exit_code(error);
}

/* A container id made from the namespace's path, so that the same words detach it later. */
static coam_code make_id(const char *netns, char *id, size_t size, coam_error **ret_error) {
  COAM_AUTO(coam_buf) made = NULL;
  coam_code code = coam_cni_netns_id(netns, &made, ret_error);
  if (code == COAM_OK) snprintf(id, size, "%s", (const char *)coam_buf_data(made));
  return code;
}

int main(int argc, char **argv) {
  COAM_AUTO(coam_error) error = NULL;
  COAM_AUTO(coam_context) context = NULL;
  COAM_AUTO(coam_options) where = NULL;
  COAM_AUTO(coam_cni_client) client = NULL;
  COAM_AUTO(coam_cni_network) network = NULL;
  COAM_AUTO(coam_options) how = NULL;
  COAM_AUTO(coam_cni_result) result = NULL;
  char id[64];
  struct timespec now;
  size_t i;

  if (argc < 3 || argc > 4) {
    fprintf(stderr, "usage: cni_add_del NETWORK.conflist NETNS [PLUGIN_DIR]\n");
    return 2;
  }
  if (coam_context_new(NULL, &context, &error) != COAM_OK) return fail(error);

  /* Where plugins are and where results are kept. */
  if (coam_options_new("cni.client", &where, &error) != COAM_OK ||
      coam_options_set(where, "plugin-dir", argc > 3 ? argv[3] : "/usr/lib/cni", &error) !=
          COAM_OK ||
      coam_options_set(where, "cache-dir", "/run/cni_add_del", &error) != COAM_OK ||
      coam_cni_client_new(context, where, &client, &error) != COAM_OK) {
    return fail(error);
  }
  if (coam_cni_network_load_file(context, argv[1], &network, &error) != COAM_OK) {
    return fail(error);
  }
  printf("network %s:", coam_cni_network_name(network).data);
  for (i = 0; i < coam_cni_network_plugin_count(network); ++i) {
    printf(" %s", coam_cni_network_plugin_type(network, i).data);
  }
  printf("\n");

  /* ADD, in at most ten seconds. If it fails, nothing stays attached. */
  if (make_id(argv[2], id, sizeof id, &error) != COAM_OK ||
      coam_options_new("cni.attach", &how, &error) != COAM_OK ||
      coam_options_set(how, "ifname", "eth0", &error) != COAM_OK ||
      coam_options_set(how, "port", "18099:80/tcp", &error) != COAM_OK) {
    return fail(error);
  }
  clock_gettime(CLOCK_MONOTONIC, &now);
  coam_options_set_deadline(how, now.tv_sec * 1000000000LL + now.tv_nsec + 10000000000LL);
  if (coam_cni_add(context, client, network, id, argv[2], how, &result, &error) != COAM_OK) {
    return fail(error);
  }
  for (i = 0; i < coam_cni_result_interface_count(result); ++i) {
    coam_str sandbox = coam_cni_result_interface_sandbox(result, i);
    printf("interface %s %s\n", coam_cni_result_interface_name(result, i).data,
           sandbox.size > 0 ? "in the container" : "on the host");
  }
  for (i = 0; i < coam_cni_result_ip_count(result); ++i) {
    printf("address %s gateway %s\n", coam_cni_result_ip_address(result, i).data,
           coam_cni_result_ip_gateway(result, i).data);
  }

  /* DEL: safe to repeat, also after a crash of this program. */
  coam_options_set_deadline(how, 0);
  if (coam_cni_del(context, client, network, id, argv[2], how, &error) != COAM_OK) {
    return fail(error);
  }
  printf("detached\n");
  return 0;
}
