using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Requests;

/// <summary>
/// Makes requests repeatable by their <see cref="IdempotencyKey"/>. An endpoint says <see cref="RepeatableByKey"/>, and derives the ids of what it starts from
/// the key; the rest happens here.
/// <list type="bullet">
/// <item>The same key with the same request gives the same answer: status, headers and body, for as long as the database lives. The first answer counts that
/// says that something was started, or that a run refused it.</item>
/// <item>The same key with another method, path or body is 409. Bodies are compared as JSON: order of members and white space mean nothing.</item>
/// <item>A request that was turned away before anything was started, with another 4xx, gives its key back.</item>
/// <item>While the first answer is on its way, and when it was lost (5xx, a process that died), a repeated request goes through again and joins the same run.</item>
/// </list>
/// </summary>
internal sealed class IdempotentRequests(RequestDelegate next, IdempotencyStore store, TimeProvider time)
{
    public async Task InvokeAsync(HttpContext context)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<Repeatable>() is not { } repeatable || IdempotencyKey.Of(context.Request) is not { } key)
        {
            await next(context);
            return;
        }

        var project = context.Caller().ProjectId;
        var digest = await DigestAsync(context.Request, context.RequestAborted);
        var known = await store.BeginAsync(project, key, digest, time.GetUtcNow(), context.RequestAborted);
        if (!known.Digest.AsSpan().SequenceEqual(digest))
        {
            throw Fault.Conflict("The Idempotency-Key was used for another request before. Use a new key for a new request.");
        }

        if (known.Answer is { } before)
        {
            context.Demand(repeatable.Policy);
            await WriteAsync(context, before);
            return;
        }

        var answer = await CaptureAsync(context);
        // The caller may be gone by now; who comes back must find what was decided.
        if (IsDecided(context))
        {
            answer = await store.AnswerAsync(project, key, digest, answer, time.GetUtcNow(), CancellationToken.None);
        }
        else if (answer.Status < 500 && !context.RequestAborted.IsCancellationRequested)
        {
            await store.ForgetAsync(project, key, digest, CancellationToken.None);
        }

        await WriteAsync(context, answer);
    }

    /// <summary>Whether the answer is the run's: something was started, or refused for good.</summary>
    private static bool IsDecided(HttpContext context) =>
        context.Response.StatusCode is StatusCodes.Status201Created or StatusCodes.Status202Accepted
        || context.Features.Get<Fault>() is { OfRun: true, Status: < 500 };

    /// <summary>Lets the endpoint, or the fault that ends it, write into memory.</summary>
    private async Task<KeptAnswer> CaptureAsync(HttpContext context)
    {
        var response = context.Response;
        var common = response.Headers.Keys.ToHashSet(StringComparer.OrdinalIgnoreCase);
        var wire = response.Body;
        using var body = new MemoryStream();
        response.Body = body;
        try
        {
            await next(context);
        }
        finally
        {
            response.Body = wire;
        }

        var own = response.Headers.Where(h => !common.Contains(h.Key) && h.Key is not "Content-Length");
        return new(response.StatusCode, own.ToDictionary(h => h.Key, h => h.Value.OfType<string>().ToArray()), body.ToArray());
    }

    private static async Task WriteAsync(HttpContext context, KeptAnswer answer)
    {
        var response = context.Response;
        response.StatusCode = answer.Status;
        foreach (var (name, values) in answer.Headers)
        {
            response.Headers[name] = values;
        }

        response.ContentLength = answer.Body.Length;
        await response.Body.WriteAsync(answer.Body, context.RequestAborted);
    }

    private static async Task<byte[]> DigestAsync(HttpRequest request, CancellationToken ct)
    {
        // As large as the server accepts a body: some KiB.
        var body = new MemoryStream();
        await request.Body.CopyToAsync(body, ct);
        body.Position = 0;
        request.Body = body;

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{request.Method}\n{request.Path}\n"));
        hash.AppendData(Canonical(body.ToArray()));
        return hash.GetHashAndReset();
    }

    private static byte[] Canonical(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            using var text = new MemoryStream();
            using (var writer = new Utf8JsonWriter(text))
            {
                Write(document.RootElement, writer);
            }

            return text.ToArray();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The endpoint will refuse it.
            return body;
        }
    }

    private static void Write(JsonElement element, Utf8JsonWriter writer)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var member in element.EnumerateObject().OrderBy(m => m.Name, StringComparer.Ordinal))
                {
                    writer.WritePropertyName(member.Name);
                    Write(member.Value, writer);
                }

                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in element.EnumerateArray())
                {
                    Write(item, writer);
                }

                writer.WriteEndArray();
                break;
            default:
                element.WriteTo(writer);
                break;
        }
    }
}

/// <summary>An endpoint whose requests can be repeated by their key.</summary>
/// <param name="Policy">Who may hear the answer again: who may make the request.</param>
internal sealed record Repeatable(string Policy);

internal static class IdempotentRequestsRegistration
{
    /// <summary>Lets a request with an <c>Idempotency-Key</c> be repeated; whoever may not make it under <paramref name="policy"/> does not hear its answer either.</summary>
    public static TBuilder RepeatableByKey<TBuilder>(this TBuilder endpoint, string policy) where TBuilder : IEndpointConventionBuilder =>
        endpoint.WithMetadata(new Repeatable(policy));

    /// <summary>After authentication and the negotiation of versions. Faults of endpoints are written within, so that they can be kept as answers too.</summary>
    public static IApplicationBuilder UseIdempotentRequests(this IApplicationBuilder app) => app.UseMiddleware<IdempotentRequests>().UseMiddleware<FaultMiddleware>();
}
