using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.AspNetCore.Http.HttpResults;

namespace SnapshotFlow.Api.Dashboard;

/// <summary>Renders components, here and nowhere in the browser. What they show is encoded by the renderer.</summary>
internal static class Html
{
    /// <summary>Files and streams of our own, forms that come back to us, and nothing else: no inline script or style, no frame around us.</summary>
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

    /// <summary>A whole page.</summary>
    public static async Task<ContentHttpResult> PageAsync<TPage>(this HttpContext context, object model, int status = StatusCodes.Status200OK) where TPage : IComponent
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "same-origin";
        headers.CacheControl = "no-store";
        return TypedResults.Content(await context.RenderAsync<TPage>(model), "text/html; charset=utf-8", statusCode: status);
    }

    /// <summary>A component, whose one parameter is <c>Model</c>.</summary>
    public static async Task<string> RenderAsync<TComponent>(this HttpContext context, object model) where TComponent : IComponent
    {
        var services = context.RequestServices;
        await using var renderer = new HtmlRenderer(services, services.GetRequiredService<ILoggerFactory>());
        var parameters = ParameterView.FromDictionary(new Dictionary<string, object?> { ["Model"] = model });
        return await renderer.Dispatcher.InvokeAsync(async () => (await renderer.RenderComponentAsync<TComponent>(parameters)).ToHtmlString());
    }
}
