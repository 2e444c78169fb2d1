using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.Options;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity.Sessions;

namespace SnapshotFlow.Api.Identity.Keystone;

/// <summary>
/// Asks Keystone what a token means, as its own service account. Source: Keystone API v3, "Validate and show information for token".
/// Nothing of a request or an answer is logged but the status: both are full of tokens.
/// </summary>
internal sealed partial class KeystoneClient : IDisposable
{
    private const string Away = "The Keystone service is temporarily unavailable. Try again in a few seconds.";

    private readonly KeystoneOptions options;
    private readonly ILogger<KeystoneClient> logger;
    private readonly HttpClient http;
    private readonly SemaphoreSlim authenticating = new(1);
    private string? ownToken;

    public KeystoneClient(IOptions<IdentityOptions> identity, ILogger<KeystoneClient> logger)
    {
        options = identity.Value.Keystone;
        this.logger = logger;
        http = new(new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5), UseCookies = false })
        {
            Timeout = options.Timeout,
            MaxResponseContentBufferSize = 1024 * 1024,
        };
    }

    /// <summary>What a token means; null when Keystone knows none like it. 503 when there is no answer, or one that says nothing about the token.</summary>
    public Task<VerifiedToken?> ShowAsync(string token, bool allowExpired, CancellationToken ct) => TalkAsync(ct, async () =>
    {
        var own = ownToken ?? await AuthenticateAsync(null, ct);
        using var answer = await AskAsync(token, own, allowExpired, ct);
        if (answer.StatusCode is not HttpStatusCode.Unauthorized)
        {
            return await ReadAsync(answer, ct);
        }

        // Our own token is over; the caller's would have been a 404.
        using var again = await AskAsync(token, await AuthenticateAsync(own, ct), allowExpired, ct);
        return await ReadAsync(again, ct);
    });

    /// <summary>A token for a person. 401 when Keystone refuses, or gives one for no project. Source: Keystone API v3, "Password authentication with scoped authorization".</summary>
    public async Task<string> LogInAsync(Credentials person, CancellationToken ct)
    {
        var domain = new { name = person.Domain };
        var identity = new { methods = new[] { "password" }, password = new { user = new { name = person.User, password = person.Password, domain } } };
        object auth = person.Project is { } project ? new { auth = new { identity, scope = new { project = new { name = project, domain } } } } : new { auth = new { identity } };
        return await TalkAsync(ct, async () =>
        {
            using var answer = await http.PostAsJsonAsync($"{Root}/auth/tokens?nocatalog", auth, ct);
            switch (answer.StatusCode)
            {
                case HttpStatusCode.Created when answer.Headers.TryGetValues("X-Subject-Token", out var values):
                    using (var document = JsonDocument.Parse(await answer.Content.ReadAsByteArrayAsync(ct)))
                    {
                        return KeystoneToken.Read(document.RootElement).ProjectId is not null
                            ? values.First()
                            : throw new Fault(StatusCodes.Status401Unauthorized, "Say which project: this user has none of its own.");
                    }

                case HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.BadRequest:
                    throw new Fault(StatusCodes.Status401Unauthorized, "User name, password, domain or project is wrong.");
                default:
                    throw Fault.Unavailable(Away);
            }
        });
    }

    /// <summary>Ends a token in its own name. Source: Keystone API v3, "Revoke token".</summary>
    public Task RevokeAsync(string token, CancellationToken ct) => TalkAsync(ct, async () =>
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, $"{Root}/auth/tokens");
        request.Headers.TryAddWithoutValidation("X-Auth-Token", token);
        request.Headers.TryAddWithoutValidation("X-Subject-Token", token);
        using var answer = await http.SendAsync(request, ct);
        return answer.IsSuccessStatusCode || answer.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.Unauthorized ? true : throw Fault.Unavailable(Away);
    });

    public void Dispose()
    {
        http.Dispose();
        authenticating.Dispose();
    }

    /// <summary>What Keystone says; 503 when it says nothing, or nothing that can be read.</summary>
    private static async Task<T> TalkAsync<T>(CancellationToken ct, Func<Task<T>> talk)
    {
        try
        {
            return await talk();
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or FormatException || (e is TaskCanceledException && !ct.IsCancellationRequested))
        {
            throw Fault.Unavailable(Away, e);
        }
    }

    private async Task<VerifiedToken?> ReadAsync(HttpResponseMessage answer, CancellationToken ct)
    {
        switch (answer.StatusCode)
        {
            case HttpStatusCode.OK:
                using (var document = JsonDocument.Parse(await answer.Content.ReadAsByteArrayAsync(ct)))
                {
                    return KeystoneToken.Read(document.RootElement);
                }

            case HttpStatusCode.NotFound:
                return null;
            case var status:
                Log.DoesNotTell(logger, (int)status, options.Username!);
                throw Fault.Unavailable(Away);
        }
    }

    private Task<HttpResponseMessage> AskAsync(string token, string own, bool allowExpired, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{Root}/auth/tokens?nocatalog{(allowExpired ? "&allow_expired=1" : "")}");
        request.Headers.TryAddWithoutValidation("X-Auth-Token", own);
        request.Headers.TryAddWithoutValidation("X-Subject-Token", token);
        return http.SendAsync(request, ct);
    }

    /// <summary>A new token of our own, unless somebody else got one since <paramref name="worthless"/> stopped working.</summary>
    private async Task<string> AuthenticateAsync(string? worthless, CancellationToken ct)
    {
        await authenticating.WaitAsync(ct);
        try
        {
            if (ownToken is { } current && current != worthless)
            {
                return current;
            }

            using var answer = await http.PostAsJsonAsync($"{Root}/auth/tokens?nocatalog", Credentials(), ct);
            if (answer.StatusCode is HttpStatusCode.Created && answer.Headers.TryGetValues("X-Subject-Token", out var values))
            {
                return ownToken = values.First();
            }

            ownToken = null;
            Log.NotAccepted(logger, (int)answer.StatusCode, options.Username!);
            throw Fault.Unavailable(Away);
        }
        finally
        {
            authenticating.Release();
        }
    }

    private object Credentials() => new
    {
        auth = new
        {
            identity = new
            {
                methods = new[] { "password" },
                password = new { user = new { name = options.Username, password = options.Password, domain = new { name = options.UserDomainName } } },
            },
            scope = new { project = new { name = options.ProjectName, domain = new { name = options.ProjectDomainName } } },
        },
    };

    private string Root => options.Url!.ToString().TrimEnd('/');

    private static partial class Log
    {
        [LoggerMessage(220, LogLevel.Error, "Keystone answered {Status} when asked about a token: the account {Username} must be allowed to validate tokens")]
        public static partial void DoesNotTell(ILogger logger, int status, string username);

        [LoggerMessage(221, LogLevel.Error, "Keystone answered {Status} to the account {Username}: check Identity:Keystone:Username, Password and ProjectName")]
        public static partial void NotAccepted(ILogger logger, int status, string username);
    }
}
