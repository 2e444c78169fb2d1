using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using System.Text.Json;

namespace SnapshotFlow.Tests.Api;

/// <summary>Keystone's part in validating tokens, over HTTP on a free loopback port. Its service account is <c>snapshotflow</c> with the password <c>service-secret</c>.</summary>
public sealed class FakeKeystone : IAsyncDisposable
{
    private readonly WebApplication app;
    private string serviceToken = "service-token-1";
    private int issued = 1;

    private FakeKeystone(WebApplication app) => this.app = app;

    public Uri Url { get; private set; } = null!;

    /// <summary>Token documents by token; those under <see cref="Expired"/> only for who allows expired ones.</summary>
    public ConcurrentDictionary<string, object> Known { get; } = new();

    public ConcurrentDictionary<string, bool> Expired { get; } = new();

    /// <summary>Tokens that were asked about, in order.</summary>
    public ConcurrentQueue<string> Asked { get; } = new();

    /// <summary>How often the service account logged in.</summary>
    public int LogIns { get; private set; }

    /// <summary>Answers everything with this status when it is set.</summary>
    public int? Broken { get; set; }

    public static async Task<FakeKeystone> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        var app = builder.Build();
        var keystone = new FakeKeystone(app);
        app.Use((context, next) =>
        {
            context.Response.StatusCode = keystone.Broken ?? 200;
            return keystone.Broken is null ? next(context) : context.Response.WriteAsync("<html>broken</html>");
        });
        app.MapPost("/v3/auth/tokens", (Delegate)keystone.LogInAsync);
        app.MapGet("/v3/auth/tokens", (Delegate)keystone.Show);
        app.MapDelete("/v3/auth/tokens", (Delegate)keystone.Revoke);
        await app.StartAsync();
        keystone.Url = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/v3");
        return keystone;
    }

    /// <summary>The token that each user gets who logs in with the password <c>user-secret</c>; it must be known too.</summary>
    public ConcurrentDictionary<string, string> LogsIn { get; } = new();

    /// <summary>Makes a token known.</summary>
    public void Add(string token, string project, string[] roles, TimeSpan? life = null) => Known[token] = new
    {
        token = new
        {
            user = new { id = $"user-of-{token}", name = "somebody", domain = new { id = "default", name = "Default" } },
            project = new { id = project, name = "p", domain = new { id = "default", name = "Default" } },
            roles = roles.Select(r => new { id = r, name = r }),
            expires_at = (TimeProvider.System.GetUtcNow() + (life ?? TimeSpan.FromHours(1))).ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", System.Globalization.CultureInfo.InvariantCulture),
        },
    };

    /// <summary>The service account's token stops working.</summary>
    public void ForgetServiceToken() => serviceToken = $"service-token-{++issued}";

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private async Task<IResult> LogInAsync(HttpContext context)
    {
        using var body = await JsonDocument.ParseAsync(context.Request.Body);
        var auth = body.RootElement.GetProperty("auth");
        var user = auth.GetProperty("identity").GetProperty("password").GetProperty("user");
        if (LogsIn.TryGetValue(user.GetProperty("name").GetString()!, out var own))
        {
            if (user.GetProperty("password").GetString() != "user-secret")
            {
                return Results.Json(new { error = new { code = 401 } }, statusCode: 401);
            }

            context.Response.Headers["X-Subject-Token"] = own;
            return Results.Json(Known[own], statusCode: 201);
        }

        LogIns++;
        if (user.GetProperty("name").GetString() != "snapshotflow" || user.GetProperty("password").GetString() != "service-secret"
            || auth.GetProperty("scope").GetProperty("project").GetProperty("name").GetString() != "service")
        {
            return Results.Json(new { error = new { code = 401 } }, statusCode: 401);
        }

        context.Response.Headers["X-Subject-Token"] = serviceToken;
        return Results.Json(new { token = new { } }, statusCode: 201);
    }

    private IResult Revoke(HttpContext context)
    {
        var subject = context.Request.Headers["X-Subject-Token"].ToString();
        return context.Request.Headers["X-Auth-Token"] == subject && Known.TryRemove(subject, out _) ? Results.NoContent() : Results.Json(new { error = new { code = 404 } }, statusCode: 404);
    }

    private IResult Show(HttpContext context)
    {
        if (context.Request.Headers["X-Auth-Token"] != serviceToken)
        {
            return Results.Json(new { error = new { code = 401 } }, statusCode: 401);
        }

        var subject = context.Request.Headers["X-Subject-Token"].ToString();
        Asked.Enqueue(subject);
        return Known.TryGetValue(subject, out var document) && (!Expired.ContainsKey(subject) || context.Request.Query.ContainsKey("allow_expired"))
            ? Results.Json(document)
            : Results.Json(new { error = new { code = 404 } }, statusCode: 404);
    }
}
