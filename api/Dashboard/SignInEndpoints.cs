using Microsoft.AspNetCore.Http.HttpResults;
using SnapshotFlow.Api.Dashboard.Pages;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity.Sessions;

namespace SnapshotFlow.Api.Dashboard;

/// <summary>Begins and ends sessions.</summary>
internal static class SignInEndpoints
{
    public const string Path = "/dashboard/sign-in";
    private const string Home = "/dashboard";
    private const string DefaultDomain = "Default";

    public static void MapSignIn(this IEndpointRouteBuilder pages)
    {
        pages.MapGet("/sign-in", (HttpContext context, ISignIn signIn, string? next) =>
            context.PageAsync<SignInPage>(new SignInPage.SignInForm(Local(next), null, null, DefaultDomain, signIn.HasDomains, null)));
        pages.MapPost("/sign-in", SignInAsync);
        pages.MapPost("/sign-out", SignOutAsync).RequireAuthorization();
    }

    private static async Task<Results<RedirectHttpResult, ContentHttpResult>> SignInAsync(HttpContext context, ISignIn signIn, CancellationToken ct)
    {
        var form = await SameOrigin.FormAsync(context, ct);
        string Field(string name) => form[name].ToString().Trim();
        var (next, domain) = (Local(Field("next")), Field("domain") is { Length: > 0 } said ? said : DefaultDomain);
        var credentials = new Credentials(Field("user"), form["password"].ToString(), Field("project") is { Length: > 0 } project ? project : null, domain);
        try
        {
            if (!SessionCookie.TryBegin(context, await signIn.SignInAsync(credentials, ct)))
            {
                throw new Fault(StatusCodes.Status401Unauthorized, "The identity service issues tokens that are too long for a browser's session.");
            }
        }
        catch (Fault e) when (e.Status is StatusCodes.Status401Unauthorized or StatusCodes.Status503ServiceUnavailable)
        {
            return await context.PageAsync<SignInPage>(
                new SignInPage.SignInForm(next, credentials.User, credentials.Project, domain, signIn.HasDomains, e.Message), e.Status);
        }

        return SeeOther(next);
    }

    private static async Task<RedirectHttpResult> SignOutAsync(HttpContext context, ISignIn signIn, CancellationToken ct)
    {
        await SameOrigin.FormAsync(context, ct);
        var token = SessionCookie.TokenOf(context)!;
        SessionCookie.End(context);
        await signIn.SignOutAsync(token, ct);
        return SeeOther(Path);
    }

    /// <summary>A page of ours, whatever the address said.</summary>
    private static string Local(string? next) =>
        next is not null && (next == Home || next.StartsWith(Home + "/", StringComparison.Ordinal) || next.StartsWith(Home + "?", StringComparison.Ordinal))
            && !next.Any(c => char.IsControl(c) || c == '\\') ? next : Home;

    /// <summary>After a form: the browser gets the next page, and asks nothing twice when it is reloaded.</summary>
    private static RedirectHttpResult SeeOther(string path) => TypedResults.LocalRedirect("~" + path);
}
