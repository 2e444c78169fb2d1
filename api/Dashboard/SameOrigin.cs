using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity.Sessions;
using SnapshotFlow.Api.Requests;

namespace SnapshotFlow.Api.Dashboard;

/// <summary>
/// Takes forms from our own pages only. The cookie is not sent with what other sites ask for; beside that the browser must say that the form is from here, and
/// the form of a session must carry what only its pages know. Source: Fetch Metadata, <c>Sec-Fetch-Site</c>; browsers that do not send it send <c>Origin</c>.
/// </summary>
internal static class SameOrigin
{
    /// <summary>The form, or 403.</summary>
    public static async Task<IFormCollection> FormAsync(HttpContext context, CancellationToken ct)
    {
        var request = context.Request;
        var fromHere = request.Headers["Sec-Fetch-Site"] is [{ Length: > 0 } site] ? site == "same-origin"
            : request.Headers.Origin is [{ } origin] && Uri.TryCreate(context.Url("/"), UriKind.Absolute, out var own) && origin == own.GetLeftPart(UriPartial.Authority);
        if (!fromHere)
        {
            throw Fault.Forbidden("This form was not sent by a page of this dashboard. Open the dashboard and try again.");
        }

        if (!request.HasFormContentType)
        {
            throw new Fault(StatusCodes.Status415UnsupportedMediaType, "A form is expected.");
        }

        var form = await ReadAsync(request, ct);
        return context.User.Identity is not { IsAuthenticated: true } || SessionCookie.IsProof(SessionCookie.TokenOf(context)!, form[SessionCookie.ProofField])
            ? form
            : throw Fault.Forbidden("This form belongs to another session. Open the page again and repeat what you did.");
    }

    private static async Task<IFormCollection> ReadAsync(HttpRequest request, CancellationToken ct)
    {
        try
        {
            return await request.ReadFormAsync(ct);
        }
        // More or longer fields than a form of ours has, or what cannot be decoded.
        catch (InvalidDataException)
        {
            throw Fault.BadRequest("The form cannot be read.");
        }
    }
}
