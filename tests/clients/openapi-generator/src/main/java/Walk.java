import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.AccountsApi;
import org.openapitools.client.api.SessionsApi;
import org.openapitools.client.model.LoginRequest;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.ProblemErrorsInner;
import org.openapitools.client.model.RefreshTokenRequest;
import org.openapitools.client.model.RegisterRequest;
import org.openapitools.client.model.Session;

/** The walk by the client that OpenAPI Generator made of openapi.yaml: `java Walk BASE_URL EMAIL PASSWORD`. */
class Walk {
    private static final ObjectMapper json = ApiClient.createDefaultObjectMapper();

    interface Call {
        void make() throws ApiException;
    }

    record Refusal(int status, Problem problem) {}

    /** Every answer but a good one is thrown, with the problem document as its text. */
    static Refusal refused(Call call) throws JsonProcessingException {
        try {
            call.make();
        } catch (ApiException refusal) {
            return new Refusal(refusal.getCode(), json.readValue(refusal.getResponseBody(), Problem.class));
        }
        throw new IllegalStateException("it was not refused");
    }

    static void print(String step, int status, Map<String, Object> seen) throws JsonProcessingException {
        var line = new LinkedHashMap<String, Object>(Map.of("step", step, "status", status));
        line.putAll(seen);
        System.out.println(json.writeValueAsString(line));
    }

    public static void main(String[] args) throws ApiException, JsonProcessingException {
        String baseUrl = args[0], email = args[1], password = args[2];
        var client = new ApiClient();
        client.updateBaseUri(baseUrl);
        var accounts = new AccountsApi(client);
        var sessions = new SessionsApi(client);

        var request = new RegisterRequest().email(email).password(password).displayName("Ada Lovelace");
        var registration = accounts.registerWithHttpInfo(request);
        var registered = registration.getData();
        print("register", registration.getStatusCode(), Map.of(
                "email", registered.getUser().getEmail(),
                "display_name", registered.getUser().getDisplayName(),
                "roles", registered.getUser().getRoles(),
                "token_type", registered.getTokenType(),
                "expires_in", registered.getExpiresIn()));

        var login = sessions.loginWithHttpInfo(new LoginRequest().email(email).password(password));
        var tokens = login.getData();
        print("login", login.getStatusCode(), Map.of(
                "session_is_new", !tokens.getSessionId().equals(registered.getSessionId())));

        var refresh = sessions.refreshWithHttpInfo(new RefreshTokenRequest().refreshToken(tokens.getRefreshToken()));
        var refreshed = refresh.getData();
        print("refresh", refresh.getStatusCode(), Map.of(
                "refresh_token_is_new", !refreshed.getRefreshToken().equals(tokens.getRefreshToken()),
                "session_is_same", refreshed.getSessionId().equals(tokens.getSessionId())));

        // An API takes the interceptor that its client has when it is made.
        client.setRequestInterceptor(
                builder -> builder.header("Authorization", "Bearer " + refreshed.getAccessToken()));
        var myAccount = new AccountsApi(client);
        var mySessions = new SessionsApi(client);
        var me = myAccount.getMeWithHttpInfo();
        print("me", me.getStatusCode(), Map.of(
                "email", me.getData().getEmail(), "mfa_enabled", me.getData().getMfaEnabled()));

        var newest = mySessions.listSessionsWithHttpInfo(1, null);
        var older = mySessions.listSessions(1, newest.getData().getNextCursor());
        print("sessions", newest.getStatusCode(), Map.of(
                "current", Stream.of(newest.getData(), older)
                        .flatMap(page -> page.getSessions().stream())
                        .map(Session::getCurrent)
                        .toList(),
                "is_last_page", older.getNextCursor() == null));

        var invalid = refused(() -> accounts.register(request.password("short")));
        List<String> paths = invalid.problem().getErrors().stream().map(ProblemErrorsInner::getPath).toList();
        print("invalid", invalid.status(), Map.of("code", invalid.problem().getCode(), "paths", paths));

        var spent = new RefreshTokenRequest().refreshToken(refreshed.getRefreshToken());
        print("logout", sessions.logoutWithHttpInfo(spent).getStatusCode(), Map.of());

        var ended = refused(() -> sessions.refresh(spent));
        print("refresh after logout", ended.status(), Map.of(
                "code", ended.problem().getCode(), "reason", ended.problem().getReason()));

        var stranger = refused(myAccount::getMe);
        print("me after logout", stranger.status(), Map.of("code", stranger.problem().getCode()));
    }
}
