using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace SnapshotFlow.Stack;

/// <summary><c>import</c>: registers the servers, volumes, volume types and quotas of a file, all of it or nothing.</summary>
internal static class ImportCommand
{
    /// <param name="path">The file; its schema is in <c>docs/inventory.md</c>.</param>
    /// <param name="api">The API; null for where the token's catalog says that the Compute service is.</param>
    /// <param name="openrc">An administrator's <c>openrc</c>, for when the environment has no <c>OS_AUTH_URL</c>.</param>
    /// <param name="ct">Gives up.</param>
    public static async Task<int> RunAsync(string path, Uri? api, string openrc, CancellationToken ct)
    {
        var file = ImportFile.Load(path);
        var settings = Settings(openrc);
        using var http = new HttpClient();
        var (token, compute) = await LogInAsync(http, settings, ct);
        var root = api?.ToString().TrimEnd('/') ?? compute;
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{root}/admin/inventory") { Content = JsonContent.Create(file.Content) };
        request.Headers.Add("X-Auth-Token", token);
        using var answer = await SendAsync(http, request, ct);
        var text = await answer.Content.ReadAsStringAsync(ct);
        if (answer.StatusCode is not HttpStatusCode.OK)
        {
            throw new StackException(answer.StatusCode switch
            {
                HttpStatusCode.BadRequest => file.Locate(Message(text)),
                HttpStatusCode.Forbidden => $"{settings["OS_USERNAME"]} of {settings["OS_PROJECT_NAME"]} may not import: {Message(text)} Set OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME of an administrator; "
                    + "for what ./snapshotflow up started they are in openrc-admin",
                _ => $"{root} answered {(int)answer.StatusCode}: {Message(text)}",
            });
        }

        using var counts = JsonDocument.Parse(text);
        int Count(string name) => counts.RootElement.GetProperty(name).GetInt32();
        Console.WriteLine($"registered: {Count("volume_types")} volume types, {Count("volumes")} volumes, {Count("servers")} servers, {Count("limits")} quota limits");
        return 0;
    }

    private static Dictionary<string, string> Settings(string openrc)
    {
        string[] names = ["OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME", "OS_USER_DOMAIN_NAME", "OS_PROJECT_DOMAIN_NAME"];
        var settings = names.Select(n => (Name: n, Value: Environment.GetEnvironmentVariable(n))).Where(s => s.Value is { Length: > 0 }).ToDictionary(s => s.Name, s => s.Value!);
        if (!settings.ContainsKey("OS_AUTH_URL"))
        {
            settings = File.Exists(openrc)
                ? File.ReadLines(openrc).Where(l => l.StartsWith("export ", StringComparison.Ordinal)).Select(l => l["export ".Length..].Split('=', 2)).ToDictionary(p => p[0], p => p[1])
                : throw new StackException($"who imports? Set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME as for the openstack client; without them {openrc} is read, which ./snapshotflow up writes, and it is not there");
        }

        return names[1..4].FirstOrDefault(n => !settings.ContainsKey(n)) is { } missing ? throw new StackException($"{missing} is missing in the environment") : settings;
    }

    /// <summary>A token, and the root of the API that the catalog names.</summary>
    private static async Task<(string Token, string? Root)> LogInAsync(HttpClient http, Dictionary<string, string> settings, CancellationToken ct)
    {
        var url = settings["OS_AUTH_URL"].TrimEnd('/');
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{(url.EndsWith("/v3", StringComparison.Ordinal) ? url : url + "/v3")}/auth/tokens")
        {
            Content = JsonContent.Create(new
            {
                auth = new
                {
                    identity = new
                    {
                        methods = new[] { "password" },
                        password = new { user = new { name = settings["OS_USERNAME"], password = settings["OS_PASSWORD"], domain = new { name = settings.GetValueOrDefault("OS_USER_DOMAIN_NAME", "Default") } } },
                    },
                    scope = new { project = new { name = settings["OS_PROJECT_NAME"], domain = new { name = settings.GetValueOrDefault("OS_PROJECT_DOMAIN_NAME", "Default") } } },
                },
            }),
        };
        using var answer = await SendAsync(http, request, ct);
        var text = await answer.Content.ReadAsStringAsync(ct);
        if (answer.StatusCode is not HttpStatusCode.Created)
        {
            throw new StackException($"{url} answered {(int)answer.StatusCode} when {settings["OS_USERNAME"]} logged in: {Message(text)}");
        }

        using var document = JsonDocument.Parse(text);
        var compute = document.RootElement.GetProperty("token").TryGetProperty("catalog", out var catalog)
            ? catalog.EnumerateArray().Where(s => s.GetProperty("type").GetString() == "compute")
                .SelectMany(s => s.GetProperty("endpoints").EnumerateArray()).Where(e => e.GetProperty("interface").GetString() == "public")
                .Select(e => e.GetProperty("url").GetString()).FirstOrDefault()
            : null;
        const string Mount = "/compute/v2.1";
        return (answer.Headers.GetValues("X-Subject-Token").First(), compute is not null && compute.Contains(Mount, StringComparison.Ordinal) ? compute[..compute.IndexOf(Mount, StringComparison.Ordinal)] : new Uri(url).GetLeftPart(UriPartial.Authority));
    }

    private static async Task<HttpResponseMessage> SendAsync(HttpClient http, HttpRequestMessage request, CancellationToken ct)
    {
        try
        {
            return await http.SendAsync(request, ct);
        }
        catch (Exception e) when (e is HttpRequestException or UriFormatException || (e is TaskCanceledException && !ct.IsCancellationRequested))
        {
            throw new StackException($"no answer from {request.RequestUri?.GetLeftPart(UriPartial.Authority)}: {e.Message}", e);
        }
    }

    /// <summary>What a fault says, in the shape of whichever service.</summary>
    private static string Message(string body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.EnumerateObject().First().Value.GetProperty("message").GetString() ?? body;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            return body;
        }
    }
}
