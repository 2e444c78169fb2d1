using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.WebUtilities;
using SnapshotFlow.Api.Dashboard.Pages;
using SnapshotFlow.Api.Faults;

namespace SnapshotFlow.Api.Dashboard;

/// <summary>Metadata of endpoints that people open in a browser: what goes wrong there is said on a page.</summary>
internal sealed class DashboardPage : IFaultWriter
{
    public async Task WriteAsync(HttpContext context, Fault fault)
    {
        var title = fault.Status is StatusCodes.Status404NotFound ? "Not found" : ReasonPhrases.GetReasonPhrase(fault.Status) is { Length: > 0 } phrase ? phrase : "That did not work";
        ContentHttpResult page = await context.PageAsync<FailurePage>(
            new FailurePage.Failure(title, fault.Message, context.TraceIdentifier, context.User.Identity is { IsAuthenticated: true } ? context.Viewer() : null), fault.Status);
        await page.ExecuteAsync(context);
    }
}
