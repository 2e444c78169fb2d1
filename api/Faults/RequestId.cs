using System.Text.RegularExpressions;
using SnapshotFlow.Api.Identity;
using SnapshotFlow.Telemetry;

namespace SnapshotFlow.Api.Faults;

/// <summary>
/// Gives every request an id, <c>req-&lt;uuid&gt;</c>, and says it on every answer. It is the key of the instance action that the request causes.
/// A well-formed <c>X-OpenStack-Request-ID</c> of the caller goes to the log beside it, so that one call can be followed through several services.
/// Every answer leaves one line of log, so that its id leads to something in any case. Source: oslo.middleware, request id.
/// </summary>
internal static partial class RequestId
{
    public static IApplicationBuilder UseRequestIds(this IApplicationBuilder app)
    {
        var logger = app.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(RequestId).FullName!);
        var time = app.ApplicationServices.GetRequiredService<TimeProvider>();
        return app.Use(async (context, next) =>
        {
            var began = time.GetTimestamp();
            var id = $"req-{Guid.NewGuid()}";
            context.TraceIdentifier = id;
            context.Response.Headers["x-openstack-request-id"] = id;
            context.Response.Headers["x-compute-request-id"] = id;
            RequestFields.Begin(id, GlobalId(context.Request));
            try
            {
                using (logger.BeginScope(LogFields.OfRequest()))
                {
                    await next(context);
                }
            }
            finally
            {
                // The project is known by now. The query stays out: it may hold what people search for.
                using (logger.BeginScope(LogFields.OfRequest()))
                {
                    Log.Answered(logger, Level(context), context.Request.Method, context.Request.Path, context.Response.StatusCode, time.GetElapsedTime(began));
                }
            }
        });
    }

    /// <summary>Puts the caller's project into the log and on the way to the run. After authentication.</summary>
    public static IApplicationBuilder UseRequestProject(this IApplicationBuilder app)
    {
        var logger = app.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(RequestId).FullName!);
        return app.Use(async (context, next) =>
        {
            RequestFields.Set(RequestFields.ProjectId, context.User.Identity is { IsAuthenticated: true } ? context.Caller().ProjectId : null);
            using (logger.BeginScope(LogFields.OfRequest()))
            {
                await next(context);
            }
        });
    }

    /// <summary>The caller's own id of the request; null when it gave none, or one that is not well-formed.</summary>
    public static string? GlobalId(HttpRequest request) =>
        request.Headers["X-OpenStack-Request-ID"] is [{ } id] && WellFormed().IsMatch(id) ? id : null;

    /// <summary>What asks whether the process lives, and what the dashboard is made of, is of no interest while it works.</summary>
    private static LogLevel Level(HttpContext context) => context.Response.StatusCode >= 500 ? LogLevel.Warning
        : context.Request.Path.StartsWithSegments("/health") || context.Request.Path.StartsWithSegments("/dashboard/assets") ? LogLevel.Debug
        : LogLevel.Information;

    private static partial class Log
    {
        [LoggerMessage(EventId = 110, Message = "{Method} {Path} answered {Status} in {Took}")]
        public static partial void Answered(ILogger logger, LogLevel level, string method, string path, int status, TimeSpan took);
    }

    [GeneratedRegex(@"\Areq-[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\z", RegexOptions.CultureInvariant)]
    private static partial Regex WellFormed();
}
