using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.WebUtilities;
using Npgsql;
using SnapshotFlow.Model;
using Temporalio.Exceptions;

namespace SnapshotFlow.Api.Faults;

/// <summary>
/// Writes every answer that is not a success, in the shape of the service that was asked.
/// Compute, Block Storage and runs: <c>{"itemNotFound": {"code": 404, "message": "…"}}</c>.
/// Image and Identity: <c>{"error": {"code": 404, "title": "Not Found", "message": "…"}}</c>; Glance itself answers HTML, from which clients strip the tags, and this is
/// the JSON from which every generation of OpenStack clients reads the message, because they look for it one level down.
/// Endpoints that speak otherwise bring an <see cref="IFaultWriter"/>.
/// An exception that nobody expected becomes a 500 that names the request id and nothing else; the log has the rest.
/// </summary>
internal sealed partial class FaultMiddleware(RequestDelegate next, ILogger<FaultMiddleware> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
            if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentType: null } response)
            {
                await WriteAsync(context, new(response.StatusCode, FaultTable.Message(response.StatusCode, context.Request)));
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The caller hung up: nobody reads an answer.
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            await WriteAsync(context, Translate(e, context));
        }
    }

    private Fault Translate(Exception e, HttpContext context)
    {
        switch (e)
        {
            case Fault fault:
                if (fault is { Status: >= 500, InnerException: { } cause })
                {
                    Log.NotServed(logger, fault.Message, cause);
                }

                return fault;
            case SnapshotFlowException { Kind: ErrorKind.BackendUnavailable, InnerException: NpgsqlException }:
                Log.DatabaseAway(logger, e);
                return Fault.Unavailable("The database is not available. Try again in a few seconds.");
            case SnapshotFlowException known:
                return new(FaultTable.Status(known.Kind), known.Message);
            case BadHttpRequestException bad:
                return new(bad.StatusCode, FaultTable.Message(bad.StatusCode, context.Request));
            case RpcException { Code: RpcException.StatusCode.Unavailable or RpcException.StatusCode.DeadlineExceeded or RpcException.StatusCode.Cancelled }:
                Log.TemporalAway(logger, e);
                return Fault.Unavailable("Temporal is not available. Try again in a few seconds.");
            default:
                Log.Unexpected(logger, e);
                return new(StatusCodes.Status500InternalServerError, $"Unexpected API error. Report it with the request id {context.TraceIdentifier}.");
        }
    }

    private static async Task WriteAsync(HttpContext context, Fault fault)
    {
        var response = context.Response;
        response.StatusCode = fault.Status;
        context.Features.Set(fault);
        if (fault.RetryAfter is { } wait)
        {
            response.Headers.RetryAfter = ((int)wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        }

        // The client may still be sending what is refused: a connection with half a request on it cannot carry the next one.
        if (fault is { Status: StatusCodes.Status413PayloadTooLarge, RetryAfter: null })
        {
            response.Headers.Connection = "close";
        }

        if (context.GetEndpoint()?.Metadata.GetMetadata<IFaultWriter>() is { } writer)
        {
            await writer.WriteAsync(context, fault);
            return;
        }

        object body = context.Request.Path.StartsWithSegments("/image") || context.Request.Path.StartsWithSegments("/identity")
            ? new { error = new { code = fault.Status, title = Title(fault.Status), message = fault.Message } }
            : new Dictionary<string, object> { [FaultTable.Name(fault.Status)] = Described(fault) };
        await response.WriteAsJsonAsync(body, context.RequestAborted);
    }

    /// <summary>Whoever is over a limit is told when to come back, as in Cinder, in the body too.</summary>
    private static object Described(Fault fault) => fault is { RetryAfter: { } wait, Status: StatusCodes.Status413PayloadTooLarge or StatusCodes.Status429TooManyRequests }
        ? new Dictionary<string, object>
        {
            ["code"] = fault.Status, ["message"] = fault.Message, ["retryAfter"] = ((int)wait.TotalSeconds).ToString(CultureInfo.InvariantCulture),
        }
        : new { code = fault.Status, message = fault.Message };

    private static string Title(int status) => ReasonPhrases.GetReasonPhrase(status) is { Length: > 0 } phrase ? phrase : ((HttpStatusCode)status).ToString();

    private static partial class Log
    {
        [LoggerMessage(100, LogLevel.Error, "Unexpected failure")]
        public static partial void Unexpected(ILogger logger, Exception exception);

        [LoggerMessage(101, LogLevel.Warning, "The database does not answer")]
        public static partial void DatabaseAway(ILogger logger, Exception exception);

        [LoggerMessage(103, LogLevel.Warning, "Not served: {Reason}")]
        public static partial void NotServed(ILogger logger, string reason, Exception exception);

        [LoggerMessage(102, LogLevel.Warning, "Temporal does not answer")]
        public static partial void TemporalAway(ILogger logger, Exception exception);
    }
}

/// <summary>Metadata of endpoints whose faults are written in a shape of their own.</summary>
internal interface IFaultWriter
{
    /// <summary>Writes the body, with its type; the status is set.</summary>
    Task WriteAsync(HttpContext context, Fault fault);
}
