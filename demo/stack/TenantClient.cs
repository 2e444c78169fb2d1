using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace SnapshotFlow.Stack;

/// <summary>An answer of the API: status, headers and body, whatever they say.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Location">Header <c>Location</c>.</param>
/// <param name="Body">The JSON body; undefined when there is none.</param>
/// <param name="RequestId">Header <c>x-openstack-request-id</c>.</param>
public sealed record ApiAnswer(HttpStatusCode Status, Uri? Location, JsonElement Body, string? RequestId)
{
    /// <summary>Demands success, and says what came instead.</summary>
    public ApiAnswer Expect(HttpStatusCode status) => Status == status ? this : throw new StackException($"the API answered {(int)Status} where {(int)status} was expected: {Body}");
}

/// <summary>Calls the API as one user would.</summary>
/// <param name="api">Its address.</param>
/// <param name="token">The user's token; null for none.</param>
public sealed class TenantClient(Uri api, string? token) : IDisposable
{
    private readonly HttpClient http = new() { BaseAddress = api, Timeout = TimeSpan.FromSeconds(90) };

    /// <summary>GET.</summary>
    public Task<ApiAnswer> GetAsync(string path, CancellationToken ct) => SendAsync(HttpMethod.Get, path, null, ct);

    /// <summary>POST of an object, as JSON.</summary>
    public Task<ApiAnswer> PostAsync(string path, object? body, CancellationToken ct) => SendAsync(HttpMethod.Post, path, body is null ? null : JsonContent.Create(body), ct);

    /// <summary>Any request, with headers.</summary>
    public async Task<ApiAnswer> SendAsync(HttpMethod method, string path, HttpContent? content, CancellationToken ct, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative)) { Content = content };
        if (token is not null)
        {
            request.Headers.Add("X-Auth-Token", token);
        }
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }
        using var response = await AnswerAsync(request, ct);
        var text = await response.Content.ReadAsStringAsync(ct);
        return new ApiAnswer(response.StatusCode, response.Headers.Location, text.StartsWith('{') || text.StartsWith('[') ? JsonSerializer.Deserialize<JsonElement>(text) : default,
            response.Headers.TryGetValues("x-openstack-request-id", out var ids) ? ids.First() : null);
    }

    private async Task<HttpResponseMessage> AnswerAsync(HttpRequestMessage request, CancellationToken ct)
    {
        try
        {
            return await http.SendAsync(request, ct);
        }
        catch (Exception e) when (e is HttpRequestException || (e is TaskCanceledException && !ct.IsCancellationRequested))
        {
            throw new StackException($"the API gave no answer to {request.Method} {request.RequestUri}: {e.Message}", e);
        }
    }

    /// <summary>Asks for an image as Nova's clients do; the id of the image.</summary>
    public async Task<string> CreateImageAsync(object serverId, string name, CancellationToken ct)
    {
        var answer = (await PostAsync($"/compute/v2.1/servers/{serverId}/action", new { createImage = new { name } }, ct)).Expect(HttpStatusCode.Accepted);
        return answer.Location?.Segments[^1] ?? throw new StackException("the API accepted an image and did not say where it will be");
    }

    /// <inheritdoc/>
    public void Dispose() => http.Dispose();
}
