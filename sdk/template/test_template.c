/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's own test: its code is included, and a fake host stands where burrow would. */
#include "auth_template.c"

#include <burrow/testkit/fake_host.h>

struct burrow_auth_request {
    uint32_t result;
    unsigned answers;
};

static void on_answer(struct burrow_auth_request *request, const struct burrow_verdict *verdict)
{
    request->result = verdict->result;
    request->answers++;
}

static uint32_t judge(struct template_auth *t, const char *token)
{
    struct burrow_auth_request request = {0, 0};
    struct burrow_credential credential;
    memset(&credential, 0, sizeof credential);
    credential.size = sizeof credential;
    credential.token = token;
    credential.token_len = token != NULL ? strlen(token) : 0;
    verify(t, &request, &credential);
    fake_must(request.answers == 1, "every request is answered exactly once");
    return request.result;
}

int main(void)
{
    static const struct burrow_auth_host auth = {sizeof auth, on_answer, NULL};
    const struct config config = {{(const uint8_t *)"sesame", 6}};
    struct fake_host host;
    void *self = NULL;
    fake_host_init(&host);
    fake_must(create(&host.table, &config, &self) == BURROW_OK, "create succeeds");
    bind_host(self, &auth);
    struct template_auth *t = (struct template_auth *)self;
    fake_must(judge(t, "sesame") == BURROW_AUTH_ALLOW, "the right token is let in");
    fake_must(judge(t, "sesamf") == BURROW_AUTH_DENY, "another is not");
    fake_must(judge(t, "sesamesesame") == BURROW_AUTH_DENY, "nor one that is longer");
    fake_must(judge(t, "") == BURROW_AUTH_DENY, "nor an empty one");
    fake_must(judge(t, NULL) == BURROW_AUTH_ABSTAIN, "no token is not ours to judge");
    fake_must(host.metrics[METRIC_ALLOWED] == 1, "who is let in is counted");
    stop(self);
    free(self);
    fake_host_finish(&host);
    return 0;
}
